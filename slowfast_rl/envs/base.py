"""What both vector environments share: members, episodes, autoreset, spaces and checks."""

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
    """Base of the vector environments: N members, one row each, SAME_STEP autoreset.

    Row i in its episode e plays member ``first_member + i + e * num_envs``: a new episode is a new
    member. ``reset(seed=s)`` sets the luck seed to s and starts at episode 0; ``reset()`` and
    autoreset go to the next episode. Keywords are explained where the environments are.
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
        self._begun = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float32, Info]:
        """Begin new episodes in all rows.

        Args:
            seed: one int: the luck seed, and back to episode 0; None goes to the next episode.
            options: not used; a ``reset_mask`` is refused, as rows begin anew by themselves.

        Raises:
            ValueError: the seed is larger than 2^32 - 1, or options name some rows only.
            Error: the seed is no whole number of 0 or more (Gymnasium's).
            ClosedEnvironmentError: the environment is closed.
        """
        self._check_open()
        if options and "reset_mask" in options:
            raise ValueError("options has reset_mask; allowed is a reset of all rows")
        seed = int(seed) if isinstance(seed, np.integer) else seed
        if isinstance(seed, int) and seed >= 0:  # Gymnasium refuses the others
            check_seeds(seed=seed)
        super().reset(seed=seed)
        before = self.population.members
        if seed is None and not self._begun:
            seed = self.luck_seed
        self.population.reset(seed)
        self.luck_seed = self.luck_seed if seed is None else seed
        self._begun = True
        self.plan_exchange.forget(np.concatenate([before, self.population.members]))
        self._begin_week(np.arange(self.num_envs))
        return self._observe(), with_masks({"action_mask": self._mask()}, self.num_envs)

    def action_masks(self) -> Bool:
        """Return which actions are allowed now, [N, actions]; sb3-contrib asks this."""
        return self._mask().astype(np.bool_)

    def observe(self) -> Float32:
        """Return the current observations, fresh, [N, F]."""
        return self._observe()

    def restart(self, rows: Int64) -> None:
        """Begin the next episode in some rows, each with a new member.

        Args:
            rows: indices, none twice.

        Raises:
            ValueError: rows are no indices, one comes twice, or it is the middle of a week.
            ClosedEnvironmentError: the environment is closed.
        """
        self._check_open()
        rows = np.asarray(rows)
        if rows.size and rows.dtype.kind not in "iu":
            raise ValueError(f"rows have dtype {rows.dtype}; allowed are integers")
        self._renew(rows.astype(np.int64))
        self._begin_week(rows.astype(np.int64))

    @abstractmethod
    def _observe(self) -> Float32:
        """Return fresh observations of all rows, [N, F]."""

    @abstractmethod
    def _mask(self) -> Int8:
        """Return a fresh action mask of all rows, [N, actions]."""

    def _begin_week(self, rows: Int64) -> None:
        """Prepare the week that begins for some rows."""

    def _renew(self, rows: Int64) -> None:
        """Put new members in some rows; clear what is stored of who goes and of who comes."""
        before = self.population.members[rows]
        self.population.restart(rows)
        self.plan_exchange.forget(np.concatenate([before, self.population.members[rows]]))

    def _finish(self, reward: Float64, info: Info) -> Step:
        """Return what a step returns, starting new episodes where one ended.

        Args:
            reward: [N] of the step.
            info: what the step brought, [N, ...] per name.
        """
        population, everyone = self.population, np.arange(self.num_envs)
        terminated = ~population.alive
        truncated = ~terminated & (population.weeks >= self.weeks)
        ended = terminated | truncated
        if self.autoreset and ended.any():
            rows = everyone[ended]
            self._begin_week(rows)  # the last observation shows the week that is not played
            infos = end_infos(info | {"action_mask": self._mask()}, self._observe(), ended)
            self._renew(rows)
        else:
            infos = with_masks(info, self.num_envs)
        if population.slot == 0:
            self._begin_week(everyone)
        infos |= with_masks({"action_mask": self._mask()}, self.num_envs)
        return self._observe(), reward, terminated, truncated, infos

    def _check_actions(self, actions: Any) -> Int64:
        """Return actions as a fresh int64 array [N] if they are allowed now."""
        self._check_open()
        if not self._begun:
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
    """Return a world given by name, as a file or as itself, with another menu if one is given.

    Raises:
        ValueError: unknown world, or a menu that does not name every channel.
    """
    resolved = world if isinstance(world, World) else load_world(world)
    if menu is None:
        return resolved
    if sorted(menu) != sorted(resolved.channels):
        raise ValueError(f"menu names {sorted(menu)}; allowed: {sorted(resolved.channels)}")
    return replace(resolved, menu=tuple(tuple(menu[c]) for c in resolved.channels))
