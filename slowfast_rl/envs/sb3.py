"""Adapters from the vector environments to Stable-Baselines3's ``VecEnv``."""

from collections.abc import Sequence
from time import perf_counter
from typing import Any, cast

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from numpy.typing import NDArray
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env.base_vec_env import VecEnv, VecEnvObs, VecEnvStepReturn

from slowfast_rl.envs.base import MemberVectorEnv
from slowfast_rl.envs.infos import Info, row_info
from slowfast_rl.members.arrays import Bool, Float32
from slowfast_rl.policies.component import State

_SPACES = ("action_space", "observation_space")


class SB3VecEnv(VecEnv):
    """Adapter from a native vector environment to Stable-Baselines3's ``VecEnv``.

    The info of an ended episode holds ``terminal_observation`` and ``TimeLimit.truncated``, so that
    learners bootstrap the value at a time limit and not at a churn; ``episode``, the record of
    SB3's ``Monitor``, from which ``ep_rew_mean`` is computed; and the infos of its last step, such
    as ``sends`` or ``opened``. Infos of other steps are passed on if ``all_infos`` is true.

    SB3 does not accept a vector environment itself: give it ``SB3VecEnv(gym.make_vec(...))``.

    Args:
        env: a vector environment of this package, or Gymnasium's vector wrappers around one; its
            autoreset mode is SAME_STEP, or DISABLED, where the adapter resets rows itself, because
            some of Gymnasium's observation wrappers refuse SAME_STEP.
        all_infos: whether every step has infos, which takes about a microsecond per row and value.

    Raises:
        ValueError: the environment is in NEXT_STEP autoreset mode.
        TypeError: it is not a vector environment of this package.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], *, all_infos: bool = False) -> None:
        native = env.unwrapped
        if not isinstance(native, MemberVectorEnv):
            raise TypeError(
                f"the environment is {env}; allowed is a vector environment of slowfast_rl, such as"
                ' SB3VecEnv(gym.make_vec("slowfast_rl/Messaging-v0", num_envs=64))'
            )
        if native.autoreset_mode is AutoresetMode.NEXT_STEP:
            raise ValueError(
                f"the environment has autoreset_mode={native.autoreset_mode}; allowed are"
                " AutoresetMode.SAME_STEP and AutoresetMode.DISABLED"
            )
        self.env, self.all_infos = env, all_infos
        self._native: MemberVectorEnv = native
        self._actions = np.zeros(env.num_envs, np.int64)
        self._returns = np.zeros(env.num_envs)
        self._lengths = np.zeros(env.num_envs, np.int64)
        self._seed: int | None = None
        self._start = perf_counter()
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)

    def reset(self) -> VecEnvObs:
        """Begin new episodes.

        The first reset after a call of ``seed`` or ``set_options`` uses that seed or these options.
        """
        observations, info = self.env.reset(seed=self._seed, options=self._options[0] or None)
        self.reset_infos = [{"action_mask": mask} for mask in info["action_mask"]]
        self._seed = None
        self._reset_options()
        self._returns[:], self._lengths[:] = 0, 0
        return cast(VecEnvObs, observations)

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Set the one seed of all rows for the next reset, and return it per row; None draws it."""
        self._seed = int(np.random.default_rng().integers(2**32)) if seed is None else seed
        return [self._seed] * self.num_envs

    def set_options(self, options: list[dict[str, Any]] | dict[str, Any] | None = None) -> None:
        """Set the options of the next reset, such as ``reset_mask``.

        Raises:
            ValueError: rows have different options, although they are one environment.
        """
        if isinstance(options, list) and any(each != options[0] for each in options):
            raise ValueError("options differ between rows; allowed are the same for all rows")
        super().set_options(options)

    def step_async(self, actions: NDArray[Any]) -> None:
        """Store the actions for ``step_wait``."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Step all rows; return the first observation of the next episode where one ended."""
        observations, rewards, terminated, truncated, info = self.env.step(self._actions)
        self._returns += rewards
        self._lengths += 1
        done = terminated | truncated
        infos = _by_row(info, ~done) if self.all_infos else [{} for _ in range(self.num_envs)]
        last: Any = info.get("final_obs")  # where an episode ended
        last_info: Any = info.get("final_info")
        if done.any() and self._native.autoreset_mode is AutoresetMode.DISABLED:
            last, last_info = observations, info
            observations, _ = self.env.reset(options={"reset_mask": done.copy()})
        for row in np.flatnonzero(done).tolist():
            infos[row] = row_info(last_info, row) | {
                "terminal_observation": last[row],
                "TimeLimit.truncated": bool(truncated[row]),
                "episode": {
                    "r": float(self._returns[row]),
                    "l": int(self._lengths[row]),
                    "t": round(perf_counter() - self._start, 6),
                },
            }
        self._returns[done], self._lengths[done] = 0, 0
        return observations, np.asarray(rewards, np.float32), done, infos

    def close(self) -> None:
        """Close the environment."""
        self.env.close()

    def get_images(self) -> Sequence[NDArray[np.uint8] | None]:
        """Return each row's picture; the environment is made with ``render_mode="rgb_array"``."""
        frames: Any = self.env.render()
        return [None] * self.num_envs if frames is None else list(frames)

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return an attribute of the vector environment, once per requested row.

        The spaces are those of one row.
        """
        name = f"single_{attr_name}" if attr_name in _SPACES else attr_name
        value = getattr(self._owner(name), name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute of the vector environment, which all rows share."""
        setattr(self._owner(attr_name), attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method of the vector environment once; return one value per requested row.

        A method such as ``action_masks`` returns an array with one value per row, ``render`` a
        tuple. Any other value, such as the None of ``close``, is returned for each row.
        """
        method = getattr(self._owner(method_name), method_name)
        values, rows = method(*method_args, **method_kwargs), self._get_indices(indices)
        per_row = isinstance(values, np.ndarray) and len(values) == self.num_envs
        per_row |= method_name == "render" and values is not None
        return [values[i] if per_row else values for i in rows]

    def env_is_wrapped(self, wrapper_class: type[Any], indices: Any = None) -> list[bool]:
        """Return, per requested row, whether it reports episodes as the given wrapper does."""
        wrapped = issubclass(wrapper_class, Monitor) or self._wrapper(wrapper_class) is not None
        return [wrapped for _ in self._get_indices(indices)]

    def _owner(self, name: str) -> Any:
        """Return the outermost wrapper, or the environment, that has an attribute."""
        env: Any = self.env
        while isinstance(env, VectorWrapper) and not hasattr(env, name):
            env = env.env
        return env

    def _wrapper(self, kind: type[Any]) -> Any:
        """Return the outermost wrapper of a class, or None."""
        env: Any = self.env
        while isinstance(env, VectorWrapper) and not isinstance(env, kind):
            env = env.env
        return env if isinstance(env, kind) else None


def _by_row(info: Info, rows: Bool) -> list[dict[str, Any]]:
    """Return the infos of a step as one dictionary per row, empty where ``rows`` [N] is False."""
    return [row_info(info, row) if chosen else {} for row, chosen in enumerate(rows)]


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
        return self._native.observe()

    def snapshot(self) -> State:
        """Return a copy of the environment's state and of the records that are under way."""
        return {
            "env": self._native.snapshot(),
            "returns": self._returns.copy(),
            "lengths": self._lengths.copy(),
            "incomplete": self._incomplete.copy(),
        }

    def restore(self, state: State) -> None:
        """Continue where another adapter of such an environment was; see :meth:`snapshot`."""
        self._native.restore(state["env"])
        self._returns[:] = state["returns"]
        self._lengths[:] = state["lengths"]
        self._incomplete[:] = state["incomplete"]

    def step_wait(self) -> VecEnvStepReturn:
        """Step all rows; remove the records of episodes that were observed only in part."""
        observations, rewards, done, infos = super().step_wait()
        for row in np.flatnonzero(done & self._incomplete):
            del infos[row]["episode"]
        self._incomplete &= ~done
        return observations, rewards, done, infos
