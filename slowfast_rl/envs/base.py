"""Base class of the vector environments: members, episodes, autoreset, spaces and checks."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from slowfast_rl.envs.infos import Info, end_infos, with_masks
from slowfast_rl.members.arrays import Bool, Float32, Float64, Int8, Int64
from slowfast_rl.members.beliefs import BeliefFilter
from slowfast_rl.members.loading import load_world
from slowfast_rl.members.observations import Feature, bounds, privileged_features
from slowfast_rl.members.population import Population
from slowfast_rl.members.random import check_seeds
from slowfast_rl.members.world import World
from slowfast_rl.policies.contracts import Executor
from slowfast_rl.policies.plan_exchange import PlanExchange
from slowfast_rl.store import FeatureStore

Step = tuple[Float32, Float64, Bool, Bool, Info]
_METADATA: dict[str, Any] = {"render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP}


class MemberVectorEnv(VectorEnv[Float32, Int64, NDArray[Any]], ABC):
    """Base class of the vector environments: one row per member, SAME_STEP autoreset.

    In its episode e, row i simulates the member ``first_member + i + e * num_envs``: every episode
    has a new member. ``reset(seed=s)`` sets the luck seed to s and begins episode 0; ``reset()``
    and autoreset begin the next episode. The docstrings of :class:`MessagingVectorEnv` and
    :class:`PacingVectorEnv` describe the arguments.
    """

    metadata = _METADATA

    def __init__(
        self,
        num_envs: int,
        features: tuple[Feature, ...],
        num_actions: int,
        *,
        world: World,
        store: FeatureStore | None,
        executor: Executor | None = None,
        weeks: int = 104,
        reward: str = "expected",
        privileged: bool = False,
        population_seed: int = 0,
        luck_seed: int = 0,
        first_member: int = 0,
        autoreset: bool = True,
        belief_filter: BeliefFilter | None = None,
    ) -> None:
        if weeks < 1:
            raise ValueError(f"weeks is {weeks}; allowed is 1 or more")
        self.num_envs = num_envs
        self.world, self.weeks, self.privileged = world, weeks, privileged
        self.luck_seed, self.autoreset = luck_seed, autoreset
        if not autoreset:
            self.metadata = self.metadata | {"autoreset_mode": AutoresetMode.DISABLED}
        self.population = Population(
            world,
            num_envs,
            population_seed,
            luck_seed,
            first_member=first_member,
            reward=reward,
            belief_filter=belief_filter,
        )
        self.plan_exchange = PlanExchange(world, store, executor)
        self.features = features + (privileged_features(world) if privileged else ())
        self.num_actions = num_actions
        low, high = bounds(self.features)
        self.single_observation_space = spaces.Box(low, high, dtype=np.float32)
        self.single_action_space = spaces.Discrete(num_actions)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._was_reset = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float32, Info]:
        """Begin a new episode in every row.

        Args:
            seed: the luck seed of episode 0, which begins; None begins the next episode instead.
            options: ignored; ``reset_mask`` is an error, because autoreset resets single rows.

        Returns:
            The observations [N, F] and the infos.

        Raises:
            ValueError: the seed exceeds 2^32 - 1, or ``options`` has a ``reset_mask``.
            Error: the seed is not an integer of 0 or more (raised by Gymnasium).
            ClosedEnvironmentError: the environment is closed.
        """
        self._check_open()
        if options and "reset_mask" in options:
            raise ValueError("options has reset_mask; allowed is a reset of all rows")
        seed = int(seed) if isinstance(seed, np.integer) else seed
        if isinstance(seed, int) and seed >= 0:  # Gymnasium rejects all other seeds
            check_seeds(seed=seed)
        super().reset(seed=seed)
        previous = self.population.members
        if seed is None and not self._was_reset:
            seed = self.luck_seed
        self.population.reset(seed)
        self.luck_seed = self.luck_seed if seed is None else seed
        self._was_reset = True
        self.plan_exchange.forget(np.concatenate([previous, self.population.members]))
        self._begin_week(np.arange(self.num_envs))
        return self._observe(), with_masks({"action_mask": self._mask()}, self.num_envs)

    def action_masks(self) -> Bool:
        """Return which actions are allowed now, [N, actions]; sb3-contrib calls this method."""
        return self._mask().astype(np.bool_)

    def observe(self) -> Float32:
        """Return the current observations as a new array, [N, F]."""
        return self._observe()

    def restart(self, rows: Int64) -> None:
        """Begin the next episode in some rows, each with a new member.

        Args:
            rows: indices of the rows, without repetition.

        Raises:
            ValueError: ``rows`` are not indices, one is repeated, or a week has not ended.
            ClosedEnvironmentError: the environment is closed.
        """
        self._check_open()
        rows = np.asarray(rows)
        if rows.size and rows.dtype.kind not in "iu":
            raise ValueError(f"rows have dtype {rows.dtype}; allowed are integers")
        self._replace_members(rows.astype(np.int64))
        self._begin_week(rows.astype(np.int64))

    @abstractmethod
    def _observe(self) -> Float32:
        """Return the observations of all rows as a new array, [N, F]."""

    @abstractmethod
    def _mask(self) -> Int8:
        """Return the action masks of all rows as a new array, [N, actions]."""

    def _begin_week(self, rows: Int64) -> None:
        """Prepare the week that begins in some rows, given by their indices."""

    def _replace_members(self, rows: Int64) -> None:
        """Replace the members of some rows; clear the stored plans of the old and the new ones."""
        previous = self.population.members[rows]
        self.population.restart(rows)
        self.plan_exchange.forget(np.concatenate([previous, self.population.members[rows]]))

    def _complete_step(self, reward: Float64, info: Info) -> Step:
        """Begin new episodes in the rows whose episode ended; return the result of the step.

        Args:
            reward: [N] rewards of the step.
            info: the step's info, arrays [N, ...] by name.
        """
        population, all_rows = self.population, np.arange(self.num_envs)
        terminated = ~population.alive
        truncated = ~terminated & (population.weeks >= self.weeks)
        ended = terminated | truncated
        if self.autoreset and ended.any():
            rows = all_rows[ended]
            self._begin_week(rows)  # final_obs shows the week that would follow
            infos = end_infos(info | {"action_mask": self._mask()}, self._observe(), ended)
            self._replace_members(rows)
        else:
            infos = with_masks(info, self.num_envs)
        if population.slot == 0:
            self._begin_week(all_rows)
        infos |= with_masks({"action_mask": self._mask()}, self.num_envs)
        return self._observe(), reward, terminated, truncated, infos

    def _check_actions(self, actions: Any) -> Int64:
        """Return valid actions as a new int64 array, [N].

        Raises:
            ValueError: wrong shape or dtype, or an action outside the action space.
            ResetNeeded: the environment has not been reset yet.
            ClosedEnvironmentError: the environment is closed.
        """
        self._check_open()
        if not self._was_reset:
            raise gym.error.ResetNeeded("step was called before reset; call reset first")
        array = np.asarray(actions)
        if array.dtype.kind not in "iu":
            raise ValueError(f"actions have dtype {array.dtype}; allowed are integers")
        if array.shape != (self.num_envs,):
            raise ValueError(f"actions have shape {array.shape}; allowed is ({self.num_envs},)")
        low, high, most = array.min(), array.max(), self.num_actions - 1
        if low < 0 or high > most:
            raise ValueError(f"actions span {low} to {high}; allowed is 0 to {most}")
        return array.astype(np.int64)

    def _check_open(self) -> None:
        if self.closed:
            raise gym.error.ClosedEnvironmentError("the environment is closed; make a new one")


def resolve_world(world: str | World, menu: Mapping[str, Sequence[int]] | None) -> World:
    """Return the world that an environment simulates.

    Args:
        world: a world, the name of one, or the path of its file.
        menu: allowed weekly targets by channel, instead of the world's own; None keeps those.

    Raises:
        ValueError: the world is unknown, or the menu's channels are not those of the world.
    """
    resolved = world if isinstance(world, World) else load_world(world)
    if menu is None:
        return resolved
    if sorted(menu) != sorted(resolved.channels):
        raise ValueError(f"menu names {sorted(menu)}; allowed: {sorted(resolved.channels)}")
    return replace(resolved, menu=tuple(tuple(menu[c]) for c in resolved.channels))
