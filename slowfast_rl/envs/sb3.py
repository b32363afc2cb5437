"""Adapters from the vector environments to Stable-Baselines3's ``VecEnv``."""

from collections.abc import Sequence
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env.base_vec_env import VecEnv, VecEnvObs, VecEnvStepReturn

from slowfast_rl.envs.base import MemberVectorEnv
from slowfast_rl.members.arrays import Float32


class SB3VecEnv(VecEnv):
    """Adapter from a native vector environment to Stable-Baselines3's ``VecEnv``.

    The infos of ended episodes hold ``terminal_observation`` and ``TimeLimit.truncated``, so that
    learners bootstrap the value at a time limit and not at a churn, and ``episode``, the record of
    SB3's ``Monitor``, from which ``ep_rew_mean`` is computed.

    Args:
        env: a vector environment with autoreset.

    Raises:
        ValueError: the environment has no autoreset.
    """

    def __init__(self, env: MemberVectorEnv) -> None:
        if not env.autoreset:
            raise ValueError("the environment has autoreset=False; allowed is True")
        self.env = env
        self._actions = np.zeros(env.num_envs, np.int64)
        self._returns = np.zeros(env.num_envs)
        self._lengths = np.zeros(env.num_envs, np.int64)
        self._seed: int | None = None
        self._start = perf_counter()
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)

    def reset(self) -> VecEnvObs:
        """Begin new episodes; the first reset after a call of ``seed`` uses that seed."""
        observations, info = self.env.reset(seed=self._seed)
        self.reset_infos = [{"action_mask": mask} for mask in info["action_mask"]]
        self._seed = None
        self._returns[:], self._lengths[:] = 0, 0
        return observations

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Set the luck seed of all rows for the next reset; None begins the next episodes."""
        self._seed = seed
        return [seed] * self.num_envs

    def step_async(self, actions: NDArray[Any]) -> None:
        """Store the actions for ``step_wait``."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Step all rows; return the first observation of the next episode where one ended."""
        observations, rewards, terminated, truncated, info = self.env.step(self._actions)
        self._returns += rewards
        self._lengths += 1
        done = terminated | truncated
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for row in np.flatnonzero(done):
            infos[row] = {
                "terminal_observation": info["final_obs"][row],
                "TimeLimit.truncated": bool(truncated[row]),
                "episode": {
                    "r": float(self._returns[row]),
                    "l": int(self._lengths[row]),
                    "t": round(perf_counter() - self._start, 6),
                },
            }
        self._returns[done], self._lengths[done] = 0, 0
        return observations, rewards.astype(np.float32), done, infos

    def close(self) -> None:
        """Close the environment."""
        self.env.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return an attribute of the vector environment, once per requested row."""
        return [getattr(self.env, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute of the vector environment, which all rows share."""
        setattr(self.env, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method that returns one value per row, such as ``action_masks``."""
        values = getattr(self.env, method_name)(*method_args, **method_kwargs)
        return [values[i] for i in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type[Any], indices: Any = None) -> list[bool]:
        """Return, per requested row, whether it reports episodes as the given wrapper does."""
        return [issubclass(wrapper_class, Monitor) for _ in self._get_indices(indices)]


class StaggeredVecEnv(SB3VecEnv):
    """Adapter of an environment whose episodes are under way; ``reset`` does not restart them.

    Episodes that began before the adapter was made are not recorded in ``episode``, because the
    adapter observed only a part of their return.
    """

    def __init__(self, env: MemberVectorEnv) -> None:
        super().__init__(env)
        self._incomplete = env.population.weeks > 0  # [N]

    def reset(self) -> Float32:
        """Return the current observations, [N, F]."""
        return self.env.observe()

    def step_wait(self) -> VecEnvStepReturn:
        """Step all rows; remove the records of episodes that were observed only in part."""
        observations, rewards, done, infos = super().step_wait()
        for row in np.flatnonzero(done & self._incomplete):
            del infos[row]["episode"]
        self._incomplete &= ~done
        return observations, rewards, done, infos
