"""RLlib PPO on weekly plans.

RLlib makes the native vector environment and asks for next-step autoreset.

    pip install "ray[rllib]"
    python docs/examples/rllib_ppo.py --steps 1000000
"""

import argparse

import gymnasium as gym
from ray.rllib.algorithms.ppo import PPOConfig

import slowfast_rl  # noqa: F401, registers the environments

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("--steps", type=int, default=1_000_000, help="weeks to train on")
parser.add_argument("--num-envs", type=int, default=256, help="members in parallel")
parser.add_argument("--weeks", type=int, default=104, help="length of an episode")
args = parser.parse_args()

batch = 32 * args.num_envs
config = (
    PPOConfig()
    .environment(
        "slowfast_rl/Pacing-v0", env_config={"weeks": args.weeks, "autoreset_mode": "NextStep"}
    )
    .env_runners(
        num_env_runners=0,
        num_envs_per_env_runner=args.num_envs,
        gym_env_vectorize_mode=gym.VectorizeMode.VECTOR_ENTRY_POINT,
    )
    .learners(num_learners=0)
    .training(train_batch_size=batch, minibatch_size=batch // 8, num_epochs=4, gamma=0.98, lr=1e-3)
    .debugging(seed=0)
)
algorithm = config.build_algo()
for _ in range(max(args.steps // batch, 1)):
    runners = algorithm.train()["env_runners"]
    print(runners["num_env_steps_sampled_lifetime"], runners.get("episode_return_mean"))
algorithm.stop()
