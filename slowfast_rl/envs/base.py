"""What both vector environments share: members, episodes, autoreset, spaces and checks."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from slowfast_rl.envs.execution import Execution
from slowfast_rl.envs.executor import Executor
from slowfast_rl.members.arrays import Bool, Float32, Int8, Int64
from slowfast_rl.members.loading import load_world
from slowfast_rl.members.population import Population
from slowfast_rl.members.signals import Feature, bounds, privileged_features, privileged_signals
from slowfast_rl.members.world import World
from slowfast_rl.store import FeatureStore

Info = dict[str, Any]


class MemberVectorEnv(VectorEnv[Float32, Int64, Bool]):
    """Base of the vector environments: N members, one row each, SAME_STEP autoreset.

    Row i in its episode e plays member ``first_member + i + e * num_envs``: a new episode is a new
    member. ``reset(seed=s)`` sets the luck seed to s and starts at episode 0; ``reset()`` and
    autoreset go to the next episode.
    """

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        "render_modes": [],
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        num_envs: int,
        features: tuple[Feature, ...],
        num_actions: int,
        world: World,
        weeks: int,
        reward: str,
        privileged: bool,
        store: FeatureStore | None,
        executor: Executor | None,
        population_seed: int,
        luck_seed: int,
        first_member: int,
        autoreset: bool,
    ) -> None:
        if weeks < 1:
            raise ValueError(f"weeks is {weeks}; allowed is 1 or more")
        self.num_envs = num_envs
        self.world, self.weeks, self.privileged, self.autoreset = world, weeks, privileged, autoreset
        self.luck_seed = luck_seed
        self.population = Population(
            world, num_envs, population_seed, luck_seed, first_member=first_member, reward=reward
        )
        self.execution = Execution(world, store, executor)
        self.features = features + (privileged_features(world) if privileged else ())
        low, high = bounds(self.features)
        self.single_observation_space = spaces.Box(low, high, dtype=np.float32)
        self.single_action_space = spaces.Discrete(num_actions)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._begun = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float32, Info]:
        """Begin new episodes in all rows.

        Args:
            seed: one int: the luck seed, and back to episode 0; None goes to the next episode.
            options: not used.
        """
        self._check_open()
        super().reset(seed=seed)
        self.execution.forget(self.population.members)
        if seed is not None:
            self.luck_seed = seed
        self.population.reset(seed if seed is not None else None if self._begun else self.luck_seed)
        self._begun = True
        return self._observe(), {"action_mask": self._mask()}

    def action_masks(self) -> Bool:
        """Return which actions are allowed now, [N, actions]; sb3-contrib asks this."""
        return self._mask().astype(bool)

    def observe(self) -> Float32:
        """Return the current observations, [N, F]."""
        return self._observe()

    def restart(self, rows: Int64) -> None:
        """Begin the next episode in some rows, each with a new member; only at week's begin."""
        self.execution.forget(self.population.members[rows])
        self.population.restart(rows)

    def _observe(self) -> Float32:
        signals = self._signals()
        if not self.privileged:
            return signals
        return np.concatenate([signals, privileged_signals(self.population)], axis=1)

    def _signals(self) -> Float32:
        raise NotImplementedError

    def _mask(self) -> Int8:
        raise NotImplementedError

    def _finish(self, info: Info) -> tuple[Float32, Bool, Bool, Info]:
        """Return observations and flags after a step, starting new episodes where one ended."""
        at_week_end = self.population.slot == 0
        terminated = ~self.population.alive
        truncated = (self.population.weeks >= self.weeks) & ~terminated & at_week_end
        terminated &= at_week_end
        done = terminated | truncated
        observations, mask = self._observe(), self._mask()
        if self.autoreset and done.any():
            rows = np.flatnonzero(done)
            final = np.full(self.num_envs, None, dtype=object)
            for row in rows:
                final[row] = observations[row]
            last = {key: value.copy() for key, value in info.items()} | {"action_mask": mask}
            masks = {f"_{key}": done.copy() for key in last}
            info = info | {
                "final_obs": final,
                "_final_obs": done.copy(),
                "final_info": last | masks,
                "_final_info": done.copy(),
            }
            self.restart(rows)
            observations, mask = self._observe(), self._mask()
        return observations, terminated, truncated, info | {"action_mask": mask}

    def _check_actions(self, actions: Any) -> Int64:
        self._check_open()
        array = np.asarray(actions)
        most = int(self.single_action_space.n) - 1
        if array.dtype.kind not in "iu":
            raise ValueError(f"actions have dtype {array.dtype}; allowed are integers")
        if array.shape != (self.num_envs,):
            raise ValueError(f"actions have shape {array.shape}; allowed is ({self.num_envs},)")
        if array.min() < 0 or array.max() > most:
            raise ValueError(f"actions span {array.min()} to {array.max()}; allowed is 0 to {most}")
        if not self._begun:
            raise gym.error.ResetNeeded("step was called before reset; call reset first")
        return array.astype(np.int64)

    def _check_open(self) -> None:
        if self.closed:
            raise gym.error.ClosedEnvironmentError("the environment is closed; make a new one")


def resolve_world(world: str | World, menu: Mapping[str, Sequence[int]] | None) -> World:
    """Return a world given by name or as itself, with another menu if one is given.

    Raises:
        ValueError: unknown world, or a menu that does not name every channel.
    """
    resolved = load_world(world) if isinstance(world, str) else world
    if menu is None:
        return resolved
    if sorted(menu) != sorted(resolved.channels):
        raise ValueError(f"menu names {sorted(menu)}; allowed: {sorted(resolved.channels)}")
    return replace(resolved, menu=tuple(tuple(menu[c]) for c in resolved.channels))
