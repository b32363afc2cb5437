"""SBX, the JAX versions of Stable-Baselines3's algorithms: PPO on weekly plans.

pip install sbx-rl
python docs/examples/sbx_ppo.py --steps 1000000
"""

import argparse

import gymnasium as gym
from sbx import PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecNormalize

import slowfast_rl
from slowfast_rl.envs import SB3VecEnv

DISCOUNT = slowfast_rl.load_world("pronounced").reward.weekly_discount


def make(num_envs: int, weeks: int, population_seed: int, *, training: bool) -> VecNormalize:
    """Return normalized members; those of an evaluation keep their rewards in viewing days."""
    envs = gym.make_vec(
        "slowfast_rl/Pacing-v0", num_envs=num_envs, weeks=weeks, population_seed=population_seed
    )
    return VecNormalize(SB3VecEnv(envs), training, norm_reward=training, gamma=DISCOUNT)


def main() -> None:
    """Train, and print the return on held-out members."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=1_000_000, help="weeks to train on")
    parser.add_argument("--num-envs", type=int, default=256, help="members in parallel")
    parser.add_argument("--weeks", type=int, default=104, help="length of an episode")
    args = parser.parse_args()

    envs = make(args.num_envs, args.weeks, population_seed=0, training=True)
    settings = {"n_steps": 32, "batch_size": 4 * args.num_envs, "gamma": DISCOUNT, "seed": 0}
    model = PPO("MlpPolicy", envs, **settings).learn(args.steps)
    held_out = make(args.num_envs, args.weeks, population_seed=7, training=False)
    held_out.obs_rms = envs.obs_rms
    mean, deviation = evaluate_policy(model, held_out, args.num_envs)
    print(f"{mean:.2f} ± {deviation:.2f} viewing days in {args.weeks} weeks")


if __name__ == "__main__":
    main()
