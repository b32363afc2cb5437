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

from slowfast_rl.envs.infos import Info, end_infos, restricted, with_masks
from slowfast_rl.envs.timeline import Timeline
from slowfast_rl.members.arrays import Bool, Float32, Float64, Int8, Int64
from slowfast_rl.members.beliefs import BeliefFilter
from slowfast_rl.members.bounds import whole_number
from slowfast_rl.members.loading import as_world, world_hash
from slowfast_rl.members.observations import Feature, bounds, privileged_features
from slowfast_rl.members.population import (
    Population,
    population_arrays,
    restore_population,
)
from slowfast_rl.members.world import World
from slowfast_rl.policies.component import State
from slowfast_rl.policies.plan_exchange import PlanExchange
from slowfast_rl.store import StoreState

Step = tuple[Float32, Float64, Bool, Bool, Info]
RENDERING: dict[str, Any] = {"render_modes": ["ansi", "rgb_array"], "render_fps": 8}
_METADATA = RENDERING | {"autoreset_mode": AutoresetMode.SAME_STEP}


class MemberVectorEnv(VectorEnv[Float32, Int64, NDArray[Any]], ABC):
    """Base class of the vector environments: one row per member.

    In its episode e, row i simulates the member ``first_member + i + e * num_envs``: every episode
    has a new member. The first reset and ``reset(seed=s)`` draw the luck seed and the first member
    from ``np_random`` and begin episode 0, except those that were given here, which hold;
    ``reset()`` and autoreset begin the next episode.

    Args:
        num_envs: N, the number of rows.
        features: the features of an observation, without the privileged ones.
        num_actions: the number of actions.
        slots_per_step: the send opportunities that one step simulates.
        plan_exchange: the store and executor of the rows' plans.
        world: the world.
        weeks: weeks after which an episode is truncated.
        max_episode_steps: steps after which an episode is truncated, if that is sooner.
        reward: "expected" or "sampled".
        privileged: whether observations and pictures show what no company observes.
        population_seed: decides the members' traits.
        luck_seed: decides everything that is drawn over time; None to draw it.
        first_member: id of row 0's member in episode 0; None to draw it.
        autoreset_mode: one of Gymnasium's ``AutoresetMode``, or its value.
        render_mode: "ansi", "rgb_array" or None.
        belief_filter: makes the population keep beliefs.

    Raises:
        ValueError: an argument is not allowed.
    """

    metadata = _METADATA

    def __init__(
        self,
        num_envs: int,
        features: tuple[Feature, ...],
        num_actions: int,
        slots_per_step: int,
        plan_exchange: PlanExchange,
        *,
        world: World,
        weeks: int = 104,
        max_episode_steps: int | None = None,
        reward: str = "expected",
        privileged: bool = False,
        population_seed: int = 0,
        luck_seed: int | None = None,
        first_member: int | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
        render_mode: str | None = None,
        belief_filter: BeliefFilter | None = None,
    ) -> None:
        num_envs, weeks = whole_number("num_envs", num_envs, 1), whole_number("weeks", weeks, 1)
        if max_episode_steps is not None:
            max_episode_steps = whole_number("max_episode_steps", max_episode_steps, 1)
        if render_mode not in (None, *RENDERING["render_modes"]):
            allowed = ", ".join(RENDERING["render_modes"])
            raise ValueError(f"render_mode is {render_mode!r}; allowed: {allowed} or None")
        self.num_envs = num_envs
        self.world, self.weeks, self.privileged = world, weeks, privileged
        self.max_episode_steps, self.render_mode = max_episode_steps, render_mode
        self.autoreset_mode = _autoreset_mode(autoreset_mode)
        self.metadata = self.metadata | {"autoreset_mode": self.autoreset_mode}
        self.population = Population(
            world,
            num_envs,
            population_seed,
            0 if luck_seed is None else luck_seed,
            first_member=0 if first_member is None else first_member,
            reward=reward,
            belief_filter=belief_filter,
        )
        self.plan_exchange = plan_exchange
        self.features = features + (privileged_features(world) if privileged else ())
        self.num_actions = num_actions
        low, high = bounds(self.features)
        self.single_observation_space = spaces.Box(low, high, dtype=np.float32)
        self.single_action_space = spaces.Discrete(num_actions)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._slots_per_step = slots_per_step
        self._luck_seed, self._first_member = luck_seed, first_member
        self._was_reset = self._warned = False
        self._ended = np.zeros(num_envs, np.bool_)  # rows that need a reset before another step
        self.timeline = (
            Timeline(world, num_envs, weeks, privileged)
            if render_mode in RENDERING["render_modes"]
            else None
        )

    @property
    def steps_per_week(self) -> int:
        """Number of steps in a week."""
        return self.world.slots_per_week // self._slots_per_step

    @property
    def luck_seed(self) -> int:
        """The luck seed, which decides everything that is drawn over time."""
        return self.population.simulation.seed

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float32, Info]:
        """Begin a new episode in every row, or in those of a mask.

        Args:
            seed: any integer of 0 or more, from which luck and first member are drawn for episode
                0, which begins; None begins the next episode instead.
            options: ``reset_mask`` [N] of bool says which rows to reset; other rows go on.

        Returns:
            The observations [N, F] and the infos.

        Raises:
            ValueError: a mask has the wrong shape or no row, or comes with a seed but without some
                rows, which share their luck with the others.
            TypeError: a mask is not an array of bool.
            Error: the seed is not an integer of 0 or more (raised by Gymnasium).
            ResetNeeded: a mask lacks some rows and the environment has not been reset yet.
            ClosedEnvironmentError: the environment is closed.
        """
        self._check_open()
        mask = _reset_mask(options, self.num_envs)
        if mask is None or mask.all():
            super().reset(seed=int(seed) if isinstance(seed, np.integer) else seed)
            return self.begin_episodes(first=seed is not None)
        if seed is not None:
            raise ValueError(f"seed is {seed} with a reset_mask of some rows; allowed is None")
        if not self._was_reset:
            raise gym.error.ResetNeeded("the first reset lacks some rows; reset all rows first")
        self.restart(np.flatnonzero(mask))
        return self._observe(), with_masks({"action_mask": self._mask()}, self.num_envs)

    def begin_episodes(self, *, first: bool) -> tuple[Float32, Info]:
        """Begin an episode in every row; return the observations [N, F] and the infos.

        Args:
            first: whether to draw luck and first member and begin episode 0, as it is always done
                the first time; otherwise the next episode begins.
        """
        previous = self.population.members
        if first or not self._was_reset:
            luck, member = (int(number) for number in self.np_random.integers(2**32, size=2))
            luck = luck if self._luck_seed is None else self._luck_seed
            member = member if self._first_member is None else self._first_member
            self.population.reset(luck, member)
        else:
            self.population.reset()
        self._was_reset = True
        self._forget(np.concatenate([previous, self.population.members]), slice(None))
        self._begin_week(np.arange(self.num_envs))
        return self._observe(), with_masks({"action_mask": self._mask()}, self.num_envs)

    def render(self) -> tuple[Any, ...] | None:
        """Return each member's timeline, as text ("ansi") or picture ("rgb_array").

        Returns:
            N texts, or N pictures [height, width, 3] of uint8; None, with a warning, where the
            environment was made without one of these modes.

        Raises:
            ResetNeeded: the environment has not been reset yet.
        """
        if self.timeline is None:
            gym.logger.warn(
                f"render was called and render_mode is {self.render_mode!r}; make the environment"
                f" with one of {', '.join(RENDERING['render_modes'])}"
            )
            return None
        if not self._was_reset:
            raise gym.error.ResetNeeded("render was called before reset; call reset first")
        draw = self.timeline.text if self.render_mode == "ansi" else self.timeline.image
        return tuple(draw(row) for row in range(self.num_envs))

    def action_masks(self) -> Bool:
        """Return which actions are allowed now, [N, actions]; sb3-contrib calls this method."""
        return self._mask().astype(np.bool_)

    def observe(self) -> Float32:
        """Return the current observations as a new array, [N, F]."""
        return self._observe()

    def snapshot(self) -> State:
        """Return a copy of all that a step changes but the timeline of a ``render_mode``.

        It holds arrays, mappings and what JSON can hold. An environment made with the same
        arguments, given it by :meth:`restore`, continues identically under the same actions.

        Raises:
            ResetNeeded: the environment has not been reset yet.
        """
        if not self._was_reset:
            raise gym.error.ResetNeeded("snapshot was called before reset; call reset first")
        return {
            "made_with": self._made_with(),
            "population": population_arrays(self.population),
            "luck_seed": self.luck_seed,
            "ended": self._ended.copy(),
            "random": self.np_random.bit_generator.state,
            "random_seed": self._np_random_seed,
            "store": self.plan_exchange.store.snapshot()._asdict(),
            "reader": self.plan_exchange.reader.snapshot()._asdict(),
        }

    def restore(self, state: State) -> None:
        """Continue where another environment of the same arguments was; see :meth:`snapshot`.

        Raises:
            ValueError: the state is not one of such an environment; then nothing is changed.
        """
        wanted = self._made_with()
        found = state.get("made_with") if isinstance(state, Mapping) else None
        if found != wanted:
            raise ValueError(f"the state is one of {found}; allowed is one of {wanted}")
        if state["luck_seed"] != self.luck_seed:
            self.population.reset(state["luck_seed"])
        restore_population(self.population, state["population"])
        self._ended[:] = state["ended"]
        self.np_random.bit_generator.state = state["random"]
        self._np_random_seed = state["random_seed"]
        self.plan_exchange.store.restore(StoreState(**state["store"]))
        self.plan_exchange.reader.restore(StoreState(**state["reader"]))
        self._was_reset = True

    def restart(self, rows: Int64) -> None:
        """Begin the next episode in some rows, each with a new member.

        Args:
            rows: indices of the rows, without repetition.

        Raises:
            ValueError: ``rows`` are not indices, or one is repeated.
            ResetNeeded: the environment has not been reset yet.
            ClosedEnvironmentError: the environment is closed.
        """
        self._check_open()
        if not self._was_reset:
            raise gym.error.ResetNeeded("restart was called before reset; call reset first")
        rows = np.asarray(rows)
        if rows.size and rows.dtype.kind not in "iu":
            raise ValueError(f"rows have dtype {rows.dtype}; allowed are integers")
        self._replace_members(rows.astype(np.int64))
        self._begin_week(rows.astype(np.int64))

    def _made_with(self) -> dict[str, Any]:
        """Return what two environments must share for a snapshot of one to be the other's."""
        return {
            "environment": type(self).__name__,
            "world": world_hash(self.world),
            "population_seed": self.population.population_seed,
            "num_envs": self.num_envs,
            "weeks": self.weeks,
            "autoreset_mode": self.autoreset_mode.name,
            "features": len(self.features),
            "beliefs": self.population.beliefs is not None,
        }

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
        self._forget(np.concatenate([previous, self.population.members[rows]]), rows)

    def _forget(self, entity_ids: Int64, rows: Int64 | slice) -> None:
        """Clear what is kept of members that start an episode in some rows."""
        self.plan_exchange.forget(entity_ids)
        self._ended[rows] = self._warned = False
        if self.timeline is not None:
            self.timeline.record(self.population)

    def _begin_step(self, actions: Any) -> Int64:
        """Check the actions, handle rows whose episode has ended, and return the actions as int64.

        In NEXT_STEP mode these rows begin a new episode in this step and simulate nothing in it.

        Raises:
            ValueError: wrong shape or dtype, or an action outside the action space.
            ResetNeeded: the environment has not been reset yet.
            ClosedEnvironmentError: the environment is closed.
        """
        checked = self._check_actions(actions)
        if self._ended.any():
            if self.autoreset_mode is AutoresetMode.NEXT_STEP:
                self.population.simulation.state.alive[self._ended] = 0
            elif not self._warned:
                self._warned = True
                gym.logger.warn(
                    "step was called although an episode has ended (terminated or truncated is"
                    " True); call reset, because what follows is not part of an episode"
                )
        return checked

    def _complete_step(self, reward: Float64, info: Info) -> Step:
        """Begin new episodes where the mode says so; return the result of the step.

        Args:
            reward: [N] rewards of the step.
            info: the step's info, arrays [N, ...] by name.
        """
        population, mode = self.population, self.autoreset_mode
        if mode is AutoresetMode.NEXT_STEP and self._ended.any():
            infos = restricted(info, ~self._ended)
            self._replace_members(np.flatnonzero(self._ended))
        else:
            infos = with_masks(info, self.num_envs)
        if self.timeline is not None:
            self.timeline.record(population)
        terminated = ~population.alive
        truncated = ~terminated & self._at_limit()
        ended = terminated | truncated
        monday = population.slots == 0
        if mode is AutoresetMode.SAME_STEP and ended.any():
            self._begin_week(np.flatnonzero(ended & monday))  # final_obs shows the week to come
            infos = end_infos(info | {"action_mask": self._mask()}, self._observe(), ended)
            self._replace_members(np.flatnonzero(ended))
            monday |= ended
        else:
            self._ended = ended
        if monday.any():
            self._begin_week(np.flatnonzero(monday))
        infos |= with_masks({"action_mask": self._mask()}, self.num_envs)
        return self._observe(), reward, terminated, truncated, infos

    def _at_limit(self) -> Bool:
        """Return which rows have come to the episode's last step, [N]."""
        limit = self.weeks * self.world.slots_per_week
        if self.max_episode_steps is not None:
            limit = min(limit, self.max_episode_steps * self._slots_per_step)
        week, slots = self.population.simulation.state.week, self.population.slots
        if (int(week.max()) + 1) * self.world.slots_per_week <= limit:  # in most steps
            return np.zeros(self.num_envs, np.bool_)
        return np.asarray(week.astype(np.int64) * self.world.slots_per_week + slots >= limit)

    def _check_actions(self, actions: Any) -> Int64:
        """Return valid actions as a new int64 array, [N]."""
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


def _autoreset_mode(mode: AutoresetMode | str) -> AutoresetMode:
    """Return an autoreset mode given as such or by its value."""
    try:
        return AutoresetMode(mode)
    except ValueError:
        allowed = ", ".join(f"AutoresetMode.{each.name}" for each in AutoresetMode)
        raise ValueError(f"autoreset_mode is {mode!r}; allowed: {allowed}") from None


def _reset_mask(options: dict[str, Any] | None, num_envs: int) -> Bool | None:
    """Return the ``reset_mask`` of a reset's options, [N]; None where there is none."""
    if options is None or "reset_mask" not in options:
        return None
    mask = options["reset_mask"]
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
        raise TypeError(f"reset_mask is {mask!r}; allowed is an array of bool")
    if mask.shape != (num_envs,) or not mask.any():
        raise ValueError(f"reset_mask is {mask}; allowed is ({num_envs},) with at least one True")
    return mask


def resolve_world(world: str | World, menu: Mapping[str, Sequence[int]] | None) -> World:
    """Return the world that an environment simulates.

    Args:
        world: a world, the name of one, or the path of its file.
        menu: allowed weekly targets by channel, instead of the world's own; None keeps those.

    Raises:
        ValueError: the world is unknown, or the menu's channels are not those of the world.
    """
    resolved = as_world(world)
    if menu is None:
        return resolved
    if sorted(menu) != sorted(resolved.channels):
        raise ValueError(f"menu names {sorted(menu)}; allowed: {sorted(resolved.channels)}")
    return replace(resolved, menu=tuple(tuple(menu[c]) for c in resolved.channels))
