"""Base class of the single environments, which are vector environments with one row."""

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode

from slowfast_rl.envs.base import RENDERING, MemberVectorEnv
from slowfast_rl.envs.infos import Info, row_info
from slowfast_rl.members.arrays import Bool, Float32


class SingleMemberEnv(gym.Env[Float32, np.int64]):
    """Environment of one member, without autoreset.

    Args:
        arguments: keyword arguments of the vector environment, except ``num_envs`` and
            ``autoreset_mode``.
    """

    metadata = RENDERING
    vector_type: ClassVar[type[Any]]  # a MemberVectorEnv

    def __init_subclass__(cls) -> None:
        """Append the sections of the vector environment's docstring to the class's own."""
        sections = (cls.vector_type.__doc__ or "").partition("\n\n")[2]
        cls.__doc__ = f"{cls.__doc__}\n\n{sections}"

    def __init__(self, **arguments: Any) -> None:
        self.vector: MemberVectorEnv = self.vector_type(
            num_envs=1, autoreset_mode=AutoresetMode.DISABLED, **arguments
        )
        self.render_mode = self.vector.render_mode
        self.observation_space = self.vector.single_observation_space
        self.action_space = self.vector.single_action_space
        self.features = self.vector.features

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float32, Info]:
        """Begin an episode.

        Args:
            seed: any integer of 0 or more, from which luck and member are drawn; None begins the
                next member's episode; the first reset draws both from fresh entropy.
            options: ignored.

        Returns:
            The observation [F] and the info.

        Raises:
            Error: the seed is not an integer of 0 or more (raised by Gymnasium).
            ClosedEnvironmentError: the environment is closed.
        """
        if self.vector.closed:
            raise gym.error.ClosedEnvironmentError("the environment is closed; make a new one")
        super().reset(seed=int(seed) if isinstance(seed, np.integer) else seed)
        self.vector.np_random = self.np_random  # one generator for both
        observations, info = self.vector.begin_episodes(first=seed is not None)
        return observations[0], row_info(info, 0)

    def step(self, action: Any) -> tuple[Float32, float, bool, bool, Info]:
        """Simulate one step.

        Args:
            action: an integer of the action space.

        Returns:
            The observation [F], the reward in viewing days, terminated, truncated and the info.

        Raises:
            ValueError: wrong shape or dtype, or an action outside the action space.
            ResetNeeded: the environment has not been reset yet.
            ClosedEnvironmentError: the environment is closed.
        """
        if np.shape(action) != ():
            raise ValueError(f"action has shape {np.shape(action)}; allowed is one integer")
        result = self.vector.step(np.asarray(action)[None])
        observations, rewards, terminated, truncated, info = result
        ended = bool(terminated[0]), bool(truncated[0])
        return observations[0], float(rewards[0]), *ended, row_info(info, 0)

    def action_masks(self) -> Bool:
        """Return which actions are allowed now, [actions]; sb3-contrib calls this method."""
        mask: Bool = self.vector.action_masks()[0]
        return mask

    def render(self) -> Any:
        """Return the member's timeline: a text ("ansi"), a picture ("rgb_array"), or None.

        Raises:
            ResetNeeded: the environment has not been reset yet.
        """
        frames = self.vector.render()
        return None if frames is None else frames[0]

    def close(self) -> None:
        """Close the environment; later calls of ``reset`` and ``step`` are errors."""
        self.vector.close()
