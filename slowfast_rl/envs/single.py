"""The single environments: the vector environment with one member and no autoreset."""

from inspect import getdoc
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np

from slowfast_rl.envs.base import MemberVectorEnv
from slowfast_rl.envs.infos import Info
from slowfast_rl.members.arrays import Bool, Float32

_METADATA: dict[str, Any] = {"render_modes": []}


class SingleMemberEnv(gym.Env[Float32, np.int64]):
    """One member; takes the vector environment's keyword arguments, ``num_envs`` excepted."""

    metadata = _METADATA
    vector_type: ClassVar[type[Any]]  # a MemberVectorEnv

    def __init_subclass__(cls) -> None:
        """Document a single environment by its vector environment."""
        cls.__doc__ = f"{cls.__doc__}\n\n{getdoc(cls.vector_type)}"

    def __init__(self, **arguments: Any) -> None:
        self.vector: MemberVectorEnv = self.vector_type(num_envs=1, autoreset=False, **arguments)
        self.observation_space = self.vector.single_observation_space
        self.action_space = self.vector.single_action_space
        self.features = self.vector.features

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float32, Info]:
        """Begin an episode; see the vector environment."""
        super().reset(seed=int(seed) if isinstance(seed, np.integer) else seed)
        observations, info = self.vector.reset(seed=seed, options=options)
        return observations[0], _first(info)

    def step(self, action: Any) -> tuple[Float32, float, bool, bool, Info]:
        """Take one step.

        Raises:
            ValueError: wrong shape, dtype or action.
            ResetNeeded: the environment was not reset yet.
            ClosedEnvironmentError: the environment is closed.
        """
        if np.shape(action) != ():
            raise ValueError(f"action has shape {np.shape(action)}; allowed is one integer")
        result = self.vector.step(np.asarray(action)[None])
        observations, rewards, terminated, truncated, info = result
        ended = bool(terminated[0]), bool(truncated[0])
        return observations[0], float(rewards[0]), *ended, _first(info)

    def action_masks(self) -> Bool:
        """Return which actions are allowed now, [actions]; sb3-contrib asks this."""
        mask: Bool = self.vector.action_masks()[0]
        return mask

    def close(self) -> None:
        """Close the environment; stepping it afterwards is an error."""
        self.vector.close()


def _first(info: Info) -> Info:
    """Return one member's info from a vector environment's, flags as Python's."""
    first = {name: values[0] for name, values in info.items() if not name.startswith("_")}
    return {k: bool(v) if isinstance(v, np.bool_) else v for k, v in first.items()}
