"""Vector environments as Stable-Baselines3 takes them."""

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
    """A native vector environment behind Stable-Baselines3's ``VecEnv``.

    Sets ``terminal_observation`` and ``TimeLimit.truncated`` in the infos of ended episodes, so
    that a time limit is bootstrapped and a churn is not; reports each row's episodes as a
    ``Monitor`` does, for ``ep_rew_mean``.

    Raises:
        ValueError: the environment does not reset its rows by itself.
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
        """Begin new episodes, under the seed given to ``seed`` the first time."""
        observations, info = self.env.reset(seed=self._seed)
        self.reset_infos = [{"action_mask": mask} for mask in info["action_mask"]]
        self._seed = None
        self._returns[:], self._lengths[:] = 0, 0
        return observations

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Use one luck seed for all rows at the next reset; None goes to the next episodes."""
        self._seed = seed
        return [seed] * self.num_envs

    def step_async(self, actions: NDArray[Any]) -> None:
        """Keep the actions for ``step_wait``."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Take the step; ended rows come back with their next episode's first observation."""
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
        """Return an attribute of the vector environment, once per row asked for."""
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
        """Return, per row asked for, whether it reports its episodes as this wrapper would."""
        return [issubclass(wrapper_class, Monitor) for _ in self._get_indices(indices)]


class StaggeredVecEnv(SB3VecEnv):
    """An environment that was begun already: a reset goes on from where it is.

    An episode that began before says nothing of its return: only its rest was seen.
    """

    def __init__(self, env: MemberVectorEnv) -> None:
        super().__init__(env)
        self._begun_before = env.population.weeks > 0  # [N]

    def reset(self) -> Float32:
        """Return current observations."""
        return self.env.observe()

    def step_wait(self) -> VecEnvStepReturn:
        """Take the step."""
        observations, rewards, done, infos = super().step_wait()
        for row in np.flatnonzero(done & self._begun_before):
            del infos[row]["episode"]
        self._begun_before &= ~done
        return observations, rewards, done, infos
