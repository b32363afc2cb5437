"""Tianshou's double DQN with action masks, on weekly plans.

Tianshou reads a mask from the observation: a wrapper puts it there. Tianshou steps single
environments in turn; each has a seed, and hence members and luck, of its own.

    pip install tianshou
    python docs/examples/tianshou_dqn.py --steps 100000
"""

import argparse
from functools import partial

import gymnasium as gym
from gymnasium import spaces
from gymnasium.wrappers import TransformObservation
from tianshou.algorithm.modelfree.dqn import DQN, DiscreteQLearningPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Collector, VectorReplayBuffer
from tianshou.env import DummyVectorEnv
from tianshou.trainer import OffPolicyTrainerParams
from tianshou.utils.net.common import Net

import slowfast_rl  # noqa: F401, registers the environments


def make(weeks: int, population_seed: int) -> gym.Env:
    """Return an environment whose observation is the features and the mask of feasible plans."""
    env = gym.make("slowfast_rl/Pacing-v0", weeks=weeks, population_seed=population_seed)
    masks, size = env.get_wrapper_attr("action_masks"), int(env.action_space.n)
    space = spaces.Dict({"obs": env.observation_space, "mask": spaces.MultiBinary(size)})
    return TransformObservation(env, lambda x: {"obs": x, "mask": masks().astype("int8")}, space)


parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("--steps", type=int, default=100_000, help="weeks to train on")
parser.add_argument("--num-envs", type=int, default=16, help="members side by side")
parser.add_argument("--weeks", type=int, default=104, help="length of an episode")
args = parser.parse_args()

kinds = [partial(make, args.weeks, population_seed) for population_seed in (0, 7)]
envs, held_out = (DummyVectorEnv([kind] * args.num_envs) for kind in kinds)
envs.seed(0)
held_out.seed(0)
features, plans = kinds[0]().observation_space["obs"].shape, kinds[0]().action_space
net = Net(state_shape=features, action_shape=plans.n, hidden_sizes=[64, 64])
policy = DiscreteQLearningPolicy(model=net, action_space=plans, eps_training=0.1)
dqn = DQN(policy=policy, optim=AdamOptimizerFactory(3e-4), gamma=0.98, target_update_freq=500)
result = dqn.run_training(
    OffPolicyTrainerParams(
        training_collector=Collector(dqn, envs, VectorReplayBuffer(100_000, args.num_envs)),
        test_collector=Collector(dqn, held_out),
        epoch_num_steps=args.steps // 5,
        max_epochs=5,
        test_step_num_episodes=args.num_envs,
        collection_step_num_env_steps=args.num_envs * 8,
        update_step_num_gradient_steps_per_sample=0.1,
    )
)
print(f"{result.best_score:.2f} viewing days in {args.weeks} weeks")
