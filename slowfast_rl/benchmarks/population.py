"""Benchmarks of populations of all sizes: does a member cost as much among millions as among few?

A population is one object that is simulated as a whole, as users do; it is not divided.
"""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from slowfast_rl.benchmarks.cases import Case
from slowfast_rl.members.arrays import Int32
from slowfast_rl.members.beliefs import BeliefFilter
from slowfast_rl.members.population import Population
from slowfast_rl.members.world import World
from slowfast_rl.policies import default_executor

WEEK, STATE = "µs of CPU a member-week", "bytes a member"
SMALLEST = 10_000
_FIXED = (3, 1)  # the plan of everyone, where the world has two channels
_ON_TOP = 1.5  # a week's results and new traits take this much beside the state, as a factor
_MEASURED_ROWS = 1000  # each row has as many bytes as any other


def sizes(largest: int) -> list[int]:
    """Return 10,000, 100,000 and so on up to ``largest``; a smaller one alone."""
    return [SMALLEST * 10**i for i in range(9) if SMALLEST * 10**i <= largest] or [largest]


def population_cases(world: World, members: int, weeks: int, seed: int) -> list[Case]:
    """Return the benchmarks for 10,000 members, 100,000 and so on.

    Measured are weeks under the default executor (exact pacer, quality ranker), of members at the
    beginning of their episodes, and the bytes of all arrays that a population has. A size for
    which memory is short has a case without a value, whose name says so.

    Args:
        world: the world.
        members: the largest number of members; fewer than 10,000 are measured alone.
        weeks: simulated weeks a repeat.
        seed: of population, luck and plans.
    """
    plan = _FIXED if len(world.channels) == 2 else tuple(int(t) for t in world.safe_plan)
    plans: dict[str, Callable[[np.random.Generator, int], Int32]] = {
        f"plan {plan}": lambda _, n: np.tile(np.array(plan, np.int32), (n, 1)),
        "random plans": lambda draws, n: world.plans[draws.integers(len(world.plans), size=n)],
    }
    populations = _Populations(world, seed)
    cases = []
    for beliefs, belief_filter in (("", None), (", beliefs", BeliefFilter(world))):
        row_bytes = state_bytes(world, seed, belief_filter)
        for size in sizes(members):
            begin = partial(populations.begin, size, belief_filter)
            needed = _ON_TOP * row_bytes * size
            for name, choose in plans.items():
                once = partial(_weeks, begin, weeks, seed, choose)
                row = f"fused weeks, {name}{beliefs}"
                cases.append(_case(row, size, needed, once))
        cases += [
            Case(
                "state" + beliefs.replace(",", " and"),
                size,
                STATE,
                partial(float, row_bytes),
                warm_up=0,
            )
            for size in sizes(members)
        ]
    return cases


def state_bytes(world: World, seed: int, belief_filter: BeliefFilter | None) -> float:
    """Return the bytes of all arrays that a population has for each member."""
    population = Population(world, _MEASURED_ROWS, seed, seed, belief_filter=belief_filter)
    return float(sum(array.nbytes for array in _arrays(population))) / _MEASURED_ROWS


def _arrays(population: Population) -> Iterator[Any]:
    simulation = population.simulation
    for table in (simulation.state, simulation.traits, simulation.log):
        yield from table
    if population.beliefs is not None:
        yield from population.beliefs.tables
    yield from (simulation.ledger, population.first_members, population.episodes, population.slots)


class _Populations:
    """Gives populations at the beginning of their episodes, and keeps the latest one in memory."""

    def __init__(self, world: World, seed: int) -> None:
        self._world, self._seed = world, seed
        self._latest: Population | None = None
        self._kind: tuple[int, BeliefFilter | None] | None = None

    def begin(self, size: int, belief_filter: BeliefFilter | None) -> Population:
        """Return a population; the latest one, begun anew, if it is of the same kind."""
        if self._latest is not None and self._kind == (size, belief_filter):
            self._latest.reset(self._seed)
            return self._latest
        self._latest = None  # its memory is free before the next one is made
        seed = self._seed
        self._latest = Population(self._world, size, seed, seed, belief_filter=belief_filter)
        self._kind = size, belief_filter
        return self._latest


def _case(name: str, size: int, needed: float, once: Callable[[], float]) -> Case:
    """Return a case, or where memory is short one without a value."""
    free = free_memory()
    if free is not None and needed > free:
        told = f"{name}: left out, {needed / 1e9:.0f} of {free / 1e9:.0f} GB"
        return Case(told, size, WEEK, lambda: None, warm_up=0)
    return Case(name, size, WEEK, once)


def free_memory() -> float | None:
    """Return the bytes that are free on this machine; None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()  # what could be freed counts too
        found = dict(line.split(":") for line in lines)
        return 1024 * float(found["MemAvailable"].split()[0])
    except (OSError, KeyError, ValueError):
        pass
    try:
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):
        return None


def _weeks(
    begin_anew: Callable[[], Population],
    weeks: int,
    seed: int,
    choose: Callable[[np.random.Generator, int], Int32],
) -> float:
    """Simulate weeks, and return the CPU time of a member in a week, in µs."""
    population, draws = begin_anew(), np.random.default_rng(seed)
    executor, count = default_executor(), population.num_members
    seconds = 0.0
    for _ in range(weeks):
        target = choose(draws, count)
        begin = process_time()
        executor.run_week(population, target)
        seconds += process_time() - begin
    return 1e6 * seconds / (weeks * count)
