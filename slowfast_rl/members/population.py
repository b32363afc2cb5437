"""A population of members that is simulated slot by slot or week by week."""

from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from slowfast_rl.members import block_steps, blocks, driver
from slowfast_rl.members.arrays import Bool, Float32, Float64, Int32, Int64
from slowfast_rl.members.beliefs import BeliefFilter, Beliefs
from slowfast_rl.members.bounds import whole_number
from slowfast_rl.members.clock import DAY_SECONDS, WEEK_SECONDS
from slowfast_rl.members.constants import constants, schedule
from slowfast_rl.members.launches import check_calendar, launch_intensity
from slowfast_rl.members.loading import as_world
from slowfast_rl.members.opportunity import FastPolicy
from slowfast_rl.members.random import check_seeds
from slowfast_rl.members.state import (
    CAUSAL_OPENS,
    CHURNED,
    DISMISSALS,
    IGNORED,
    LAST,
    LEDGER_COLUMNS,
    OPENS,
    OPT_OUTS,
    SENDS,
    THIS,
    VETOED,
    VIEWS,
    Events,
    SimulationState,
    Week,
    empty_ledger,
    empty_log,
    empty_state,
    put_rows,
    take_rows,
)
from slowfast_rl.members.traits import draw_traits
from slowfast_rl.members.world import World

_CALENDAR_WEEKS = 64  # the launch calendar is extended by this many weeks at a time


class Population:
    """N members of a world under one luck seed.

    Each row is in a week of its own, and :attr:`slots` says at which slot of it. All rows are at
    the same slot unless some were restarted in the middle of a week. Row i in its episode e
    simulates member ``first_member + i + e * stride``.

    Args:
        world: the world, or its name or file.
        num_members: N.
        population_seed: 0 to 2^32 - 1; decides the members' traits.
        luck_seed: 0 to 2^32 - 1; decides everything that is drawn over time.
        luck_stream: an independent luck under the same luck seed and launch calendar.
        first_member: id of row 0's first member.
        reward: "expected" counts views and causal opens by their expected values (less noise,
            same mean), "sampled" counts them as drawn.
        belief_filter: updates ``beliefs`` about the members from their log; None for no beliefs.
        calendar: [days, D] launches of each day and topic, as a company knows them; those of later
            days are drawn. None to draw all of them.

    Raises:
        ValueError: an argument is not allowed.
    """

    def __init__(
        self,
        world: World | str,
        num_members: int,
        population_seed: int = 0,
        luck_seed: int = 0,
        *,
        luck_stream: int = 0,
        first_member: int = 0,
        reward: str = "expected",
        belief_filter: BeliefFilter | None = None,
        calendar: Float32 | None = None,
    ) -> None:
        world, num_members = as_world(world), whole_number("num_members", num_members, 1)
        if reward not in ("expected", "sampled"):
            raise ValueError(f"reward is {reward!r}; allowed: expected, sampled")
        check_seeds(
            population_seed=population_seed,
            luck_seed=luck_seed,
            luck_stream=luck_stream,
            first_member=first_member,
        )
        num_channels, n = len(world.channels), num_members
        self.world = world
        self.population_seed = population_seed
        self._calendar = None if calendar is None else check_calendar(calendar, world)
        self.slots = np.zeros(n, np.int64)  # [N] of the week, where each row is
        self.stride = n
        self.first_members = first_member + np.arange(n, dtype=np.int64)  # [N] of episode 0
        self.episodes = np.zeros(n, np.int64)  # [N]
        state = empty_state(n, num_channels)
        state.stream[:] = luck_stream
        self.simulation = SimulationState(
            constants(world),
            schedule(world),
            state,
            draw_traits(world, population_seed, state.member),
            empty_log(n, num_channels, world.num_topics),
            empty_ledger(n),
            launch_intensity(world, luck_seed, _CALENDAR_WEEKS, self._calendar),
            luck_seed,
            reward == "sampled",
        )
        self.beliefs = None if belief_filter is None else Beliefs(belief_filter, n)
        self._begin_episodes(np.arange(n))

    @property
    def num_members(self) -> int:
        """N."""
        return len(self.first_members)

    @property
    def slot(self) -> int:
        """The slot of the week that all rows are at.

        Raises:
            ValueError: rows are at different slots.
        """
        slot = int(self.slots[0])
        if (self.slots != slot).any():
            raise ValueError(f"rows are at slots {np.unique(self.slots).tolist()}, not at one slot")
        return slot

    @property
    def members(self) -> Int64:
        """[N] ids of the members that the rows simulate now."""
        return self.simulation.state.member.astype(np.int64)

    @property
    def weeks(self) -> Int32:
        """[N] weeks since each row's episode began, a copy."""
        return self.simulation.state.week.copy()

    @property
    def alive(self) -> Bool:
        """[N] False once churned, a copy."""
        return self.simulation.state.alive.astype(bool)

    @property
    def opted_in(self) -> Bool:
        """[N, C] whether the member is opted in to the channel, a copy."""
        return self.simulation.state.opted_in.astype(bool)

    @property
    def sent_this_week(self) -> Int32:
        """[N, C] sends since Monday, a copy."""
        return self.simulation.log.by_channel[:, :, SENDS + THIS].astype(np.int32)

    @property
    def now(self) -> Int64:
        """[N] seconds since each row's Monday 00:00 of week 0; at slot 0 this week's Monday."""
        seconds = [slot.weekday * DAY_SECONDS + slot.second for slot in self.world.schedule]
        into_week = np.array([0, *seconds[1:]], np.int64)[self.slots]
        return self.simulation.state.week.astype(np.int64) * WEEK_SECONDS + into_week

    def step(self, actions: Int64) -> tuple[Float64, Events]:
        """Simulate one slot of each member.

        Args:
            actions: [N] integers; 0 holds, j sends candidate j of the member's slot.

        Returns:
            The rewards [N] of the slot, in viewing days, and its events. Churn at the end of a week
            and views on days without slots count for the slot before them, or for the first slot of
            the week if there is none.

        Raises:
            ValueError: actions have another shape, or an action is outside 0 to K.
        """
        actions = np.ascontiguousarray(actions, np.int64)
        if actions.shape != (self.num_members,):
            raise ValueError(
                f"actions have shape {actions.shape}; allowed is ({self.num_members},)"
            )
        most = self.world.num_candidates
        if len(actions) and not (actions.min() >= 0 and actions.max() <= most):
            raise ValueError(
                f"actions span {actions.min()} to {actions.max()}; allowed is 0 to {most}"
            )
        rewards = np.empty(self.num_members, np.float64)
        self.keep_calendar()
        events = Events(*np.empty((len(Events._fields), self.num_members), np.uint8))
        simulation, slots = self.simulation, self.slots
        if len(slots) and (slots == slots[0]).all():  # nearly always
            shared = int(slots[0])
            block_steps.simulate_slot(simulation, shared, actions, events, rewards)
            self.slots = np.full_like(slots, (shared + 1) % self.world.slots_per_week)
        else:
            driver.step_slot(simulation, slots, actions, events, rewards)
            self.slots = (slots + 1) % self.world.slots_per_week
        self._update_beliefs()
        return rewards, events

    def run_week(self, policy: FastPolicy, guard: Callable[..., bool], plan_rows: Int32) -> Week:
        """Simulate one week under a jitted policy whose sends a jitted guard may refuse.

        Args:
            policy: pacer and ranker with their parameters.
            guard: a function compiled with ``GUARD_SIGNATURE``.
            plan_rows: [N, Q] integers per member that the policy and the guard read, such as its
                plan.

        Returns:
            The week's events and rewards per member.

        Raises:
            ValueError: the population is not at the beginning of a week, or ``plan_rows`` does not
                have N rows.
        """
        if self.slots.any():
            raise ValueError(
                f"the population is at slot {self.slots.max()}; a week starts at slot 0"
            )
        if plan_rows.shape[0] != self.num_members:
            raise ValueError(
                f"plan_rows has {plan_rows.shape[0]} rows; allowed is {self.num_members}"
            )
        self.keep_calendar()
        plan_rows = np.ascontiguousarray(plan_rows, np.int32)
        blocks.simulate_week(self.simulation, policy, guard, plan_rows)
        self._update_beliefs()
        return self.last_week()

    def last_week(self) -> Week:
        """Return the events and rewards of the last completed week."""
        log, last = self.simulation.log, self.simulation.ledger[:, LEDGER_COLUMNS:]
        reward = np.empty(self.num_members, np.float64)
        driver.fill_utility(self.simulation, LAST, reward)
        channel = log.by_channel
        return Week(
            views=last[:, VIEWS].copy(),
            causal_opens=last[:, CAUSAL_OPENS].copy(),
            viewing_days=log.by_member[:, LAST].copy(),
            sends=channel[:, :, SENDS + LAST].copy(),
            opens=channel[:, :, OPENS + LAST].copy(),
            dismissals=channel[:, :, DISMISSALS + LAST].copy(),
            opt_outs=channel[:, :, OPT_OUTS + LAST].copy(),
            churned=last[:, CHURNED].copy(),
            ignored=last[:, IGNORED].copy(),
            vetoed=last[:, VETOED].copy(),
            reward=reward,
        )

    def __repr__(self) -> str:
        """Return the world, how many members are alive, and the weeks that they are in."""
        first, last = int(self.weeks.min()), int(self.weeks.max())
        weeks = f"week {first}" if first == last else f"weeks {first} to {last}"
        return (
            f"<Population of {self.num_members} members in {self.world.name}, "
            f"{int(self.alive.sum())} alive, {weeks}>"
        )

    def clone(self) -> "Population":
        """Return a copy that continues identically under the same actions."""
        return self.take(np.arange(self.num_members))

    def shard(self, start: int, stop: int) -> "Population":
        """Return a copy of rows start to stop - 1 whose next episodes have the same members."""
        return self.take(np.arange(start, stop))

    def take(self, rows: Any) -> Self:
        """Return a copy of some rows with their members and luck; a row may be repeated."""
        rows = np.arange(self.num_members)[rows]  # makes a copy also where rows is a slice
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        simulation = self.simulation
        other.first_members = self.first_members[rows]
        other.episodes = self.episodes[rows]
        other.slots = self.slots[rows]
        other.simulation = simulation._replace(
            state=take_rows(simulation.state, rows),
            traits=take_rows(simulation.traits, rows),
            log=take_rows(simulation.log, rows),
            ledger=np.ascontiguousarray(simulation.ledger[rows]),
        )
        other.beliefs = None if self.beliefs is None else self.beliefs.take(rows)
        return other

    def put(self, rows: Any, other: "Population") -> None:
        """Replace some rows by those of another population of this world and luck, as :meth:`take`.

        Args:
            rows: indices, a mask or a slice; each row at most once.
            other: a population with as many rows.
        """
        rows = np.arange(self.num_members)[rows]
        self.first_members[rows] = other.first_members
        self.episodes[rows] = other.episodes
        self.slots[rows] = other.slots
        ours, theirs = self.simulation, other.simulation
        put_rows(ours.state, rows, theirs.state)
        put_rows(ours.traits, rows, theirs.traits)
        put_rows(ours.log, rows, theirs.log)
        ours.ledger[rows] = theirs.ledger
        if self.beliefs is not None and other.beliefs is not None:
            put_rows(self.beliefs.tables, rows, other.beliefs.tables)

    def restart(self, rows: Int64) -> None:
        """Begin the next episode in some rows, each with a new member.

        Args:
            rows: indices or a mask.

        Raises:
            ValueError: a row is named twice.
        """
        rows = np.arange(self.num_members)[rows]  # rows may be a mask
        if len(np.unique(rows)) < len(rows):
            raise ValueError(f"rows are {rows.tolist()}; each row is allowed at most once")
        self.episodes[rows] += 1
        self._begin_episodes(rows)

    def reset(self, luck_seed: int | None = None, first_member: int | None = None) -> None:
        """Begin the next episode in all rows, or episode 0 under another luck seed.

        A calendar that was given stays under any luck seed.

        Args:
            luck_seed: the new luck seed; None to keep luck and begin the next episode.
            first_member: the id of row 0's member in the episode 0 that begins; None to keep it.

        Raises:
            ValueError: a seed or id is not allowed, or only ``first_member`` is given.
        """
        if luck_seed is None:
            if first_member is not None:
                raise ValueError("first_member is given without luck_seed; allowed is both")
            self.episodes += 1
        else:
            check_seeds(luck_seed=luck_seed)
            if first_member is not None:
                check_seeds(first_member=first_member)
                self.first_members = self.first_members + (first_member - self.first_members[0])
            self.episodes[:] = 0
            calendar = launch_intensity(self.world, luck_seed, _CALENDAR_WEEKS, self._calendar)
            self.simulation = self.simulation._replace(seed=luck_seed, launches=calendar)
        self._begin_episodes(np.arange(self.num_members))

    def keep_calendar(self) -> None:
        """Extend the launch calendar to cover every row's current week.

        Call it before a driver or an observation reads the calendar.
        """
        weeks = len(self.simulation.launches) // 7
        oldest = int(self.simulation.state.week.max()) + 1
        if oldest > weeks:
            wanted = -(-oldest // _CALENDAR_WEEKS) * _CALENDAR_WEEKS
            seed = self.simulation.seed
            calendar = launch_intensity(self.world, seed, wanted, self._calendar)
            self.simulation = self.simulation._replace(launches=calendar)

    def _update_beliefs(self) -> None:
        """Update the beliefs, if there are any, of the rows whose week just ended."""
        begins = self.slots == 0
        if self.beliefs is not None and begins.any():
            self.beliefs.update(self.simulation.log, self.simulation.state.alive * begins)

    def _begin_episodes(self, rows: Int64) -> None:
        """Set rows to the beginning of their current episode, with its member's traits."""
        simulation, rows = self.simulation, np.ascontiguousarray(rows, np.int64)
        self.slots[rows] = 0
        members = self.first_members[rows] + self.episodes[rows] * self.stride
        simulation.state.member[rows] = (members % 2**32).astype(np.uint32)
        traits = draw_traits(self.world, self.population_seed, simulation.state.member[rows])
        put_rows(simulation.traits, rows, traits)
        driver.begin(simulation, rows)
        if self.beliefs is not None:
            self.beliefs.forget(rows)


def branch(population: Population, copies: int) -> Population:
    """Return a population with ``copies`` adjacent copies of every row, under the same luck.

    Row ``i * copies + b`` is branch b of row i. Branches of a member differ only by the effect of
    the actions taken on them.

    Raises:
        ValueError: copies is below 1.
    """
    if copies < 1:
        raise ValueError(f"copies is {copies}; allowed is 1 or more")
    return population.take(np.repeat(np.arange(population.num_members), copies))


_PARTS = ("state", "log")
_MOST_WEEKS = 2**20  # of an episode: 20,000 years


def population_arrays(population: Population, *, copy: bool = True) -> dict[str, NDArray[Any]]:
    """Return copies of all arrays that a simulation changes, beliefs included.

    Traits and launches follow from seeds, member ids and the calendar, if one was given. Without
    ``copy`` they are the arrays themselves, to be written before the simulation goes on.
    """
    arrays: dict[str, NDArray[Any]] = {
        f"{part}.{name}": array
        for part in _PARTS
        for name, array in getattr(population.simulation, part)._asdict().items()
    }
    arrays |= {
        "ledger": population.simulation.ledger,
        "first_members": population.first_members,
        "episodes": population.episodes,
        "slots": population.slots,
    }
    if population.beliefs is not None:
        tables = population.beliefs.tables._asdict()
        arrays |= {f"beliefs.{name}": table for name, table in tables.items()}
    return {name: array.copy() for name, array in arrays.items()} if copy else arrays


def restore_population(population: Population, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Restore the state of a population from :func:`population_arrays`.

    Args:
        population: a population of the same arguments.
        arrays: the result of :func:`population_arrays`.

    Raises:
        ValueError: an array is missing, has another shape or dtype, or holds a value that no
            simulation leads to; then nothing is changed.
    """
    wanted = population_arrays(population, copy=False)
    for name, array in wanted.items():
        found = arrays.get(name)
        if found is None or found.shape != array.shape or found.dtype != array.dtype:
            what = "missing" if found is None else f"{found.dtype} of shape {found.shape}"
            raise ValueError(f"{name} is {what}; allowed is {array.dtype} of shape {array.shape}")
        low, high = _range_of(population, name)
        if found.size and not (found.min() >= low and found.max() <= high):  # NaN is outside
            raise ValueError(
                f"{name} spans {found.min()} to {found.max()}; allowed is {low} to {high}"
            )
    simulation = population.simulation
    for part in _PARTS:
        table = getattr(simulation, part)
        put_rows(table, slice(None), type(table)(*(arrays[f"{part}.{n}"] for n in table._fields)))
    simulation.ledger[:] = arrays["ledger"]
    population.first_members[:] = arrays["first_members"]
    population.episodes[:] = arrays["episodes"]
    population.slots = arrays["slots"].copy()
    if population.beliefs is not None:
        for name, table in population.beliefs.tables._asdict().items():
            table[...] = arrays[f"beliefs.{name}"]
    traits = draw_traits(population.world, population.population_seed, simulation.state.member)
    put_rows(simulation.traits, slice(None), traits)


def _range_of(population: Population, name: str) -> tuple[float, float]:
    """Return the least and the greatest value that an array may hold; kernels index by some."""
    schedule, world = population.simulation.schedule, population.world
    ranges = {
        "state.week": (0, _MOST_WEEKS),
        "state.alive": (0, 1),
        "state.opted_in": (0, 1),
        "state.viewed": (0, 1),
        "state.organic_slot": (-1, len(schedule.channel)),
        "slots": (0, world.slots_per_week - 1),
        "episodes": (0, 2**62),
        "first_members": (0, 2**62),
    }
    most = float(np.finfo(np.float32).max)  # infinite numbers are outside
    return ranges.get(name, (-most, most))
