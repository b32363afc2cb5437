"""Replaces CartPole by an environment of this package in a process that runs others' tests.

`run.py` has every Python process of a run import this file when it starts, also those that
Gymnasium's and Stable-Baselines3's asynchronous environments start.
"""

import os
from typing import Any

import gymnasium as gym
import gymnasium.envs.classic_control as classic_control
from gymnasium.envs.classic_control import cartpole
from gymnasium.vector import AutoresetMode

from slowfast_rl import envs

NAME = os.environ["COMPATIBILITY_ENV"]  # Messaging or Pacing
ADAPTED = "COMPATIBILITY_ADAPTER" in os.environ  # whether make_vec_env gives SB3VecEnv

_vector: Any = getattr(envs, f"{NAME}VectorEnv")


class NextStepVectorEnv(_vector):
    """The vector environment with CartPole's default autoreset mode."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **{"autoreset_mode": AutoresetMode.NEXT_STEP} | more)


def adapted(make_vec_env: Any) -> Any:
    """Stable-Baselines3's `make_vec_env`, which gives the native environment for CartPole."""

    def make(env_id: Any, n_envs: int = 1, seed: int | None = None, **more: Any) -> Any:
        if env_id != "CartPole-v1" or more:
            return make_vec_env(env_id, n_envs, seed, **more)
        native = envs.SB3VecEnv(gym.make_vec(f"slowfast_rl/{NAME}-v0", num_envs=n_envs))
        native.seed(seed)
        return native

    return make


# The registry names these classes by module and name.
cartpole.CartPoleEnv = classic_control.CartPoleEnv = getattr(envs, f"{NAME}Env")
cartpole.CartPoleVectorEnv = NextStepVectorEnv
if ADAPTED:
    from stable_baselines3.common import env_util

    env_util.make_vec_env = adapted(env_util.make_vec_env)
