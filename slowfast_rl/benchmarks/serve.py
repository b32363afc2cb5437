"""Benchmarks of single decisions: the time to read a plan from the store and score candidates."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

import numpy as np

from slowfast_rl.benchmarks.env import Case
from slowfast_rl.benchmarks.store import stores
from slowfast_rl.fast import AffinityRanker, BidPricePacer, PacedExecutor
from slowfast_rl.fast.affinity import Weights
from slowfast_rl.fast.decide import decide
from slowfast_rl.members.arrays import Float64
from slowfast_rl.members.clock import WEEK_SECONDS
from slowfast_rl.members.observations import opportunity_observation
from slowfast_rl.members.population import Population
from slowfast_rl.members.world import World
from slowfast_rl.policies.plan_reader import PlanReader
from slowfast_rl.store import FeatureStore, pacing_plan, read_plans, write_plans

_DECISIONS = 2000  # per run, at most one for each member
_QUANTILES = (50, 99)
_NOW = WEEK_SECONDS + 1


def serve_cases(
    world: World, members: int, seed: int, redis_url: str | None, stack: ExitStack
) -> list[Case]:
    """Return benchmarks of a decision and of its store read: p50 and p99, in microseconds.

    A member's first decision of a week reads its plan from the store; later decisions find it in
    memory.

    Args:
        world: the world.
        members: number of members, for each of which the store has a plan; decisions are made for
            one of them after another.
        seed: seed of members and plans.
        redis_url: URL of a Redis server; None leaves Redis out.
        stack: exit stack that deletes the plans from the stores.
    """
    population = Population(world, members, seed, seed)
    quantiles = np.linspace(-1, 2, 50).tolist()
    executor = PacedExecutor(
        BidPricePacer.with_quantiles([quantiles] * len(world.channels)),
        AffinityRanker.with_weights(Weights(4, 0.5, 0.3, 0.8, -1, 0.4)),
    )
    draws = np.random.default_rng(seed)
    plan = pacing_plan(draws.integers(0, 8, (members, len(world.channels))), 1)
    obs = opportunity_observation(population, plan.target)
    cases = []
    for name, store in stores(world, population.members, redis_url, stack).items():
        write_plans(store, population.members, plan, WEEK_SECONDS)
        reader = [PlanReader(world, store)]
        decision = partial(_decide, world, executor, reader, obs, population.members)
        for action, once, begin in (
            ("read", partial(_read, store, population.members), None),
            ("decision", decision, partial(_reset_reader, reader, population.members)),
            ("later decision", decision, None),
        ):
            runs = _LatencyRuns(once, members, begin)
            cases += [
                Case(f"{name}, {action}, p{q}", members, "µs", partial(runs.quantile, q))
                for q in _QUANTILES
            ]
    return cases


def _read(store: FeatureStore, ids: Any, i: int) -> None:
    read_plans(store, ids[i : i + 1], _NOW)


def _decide(
    world: World, executor: PacedExecutor, reader: list[PlanReader], obs: Any, ids: Any, i: int
) -> None:
    one = slice(i, i + 1)
    decide(world, executor, reader[0], obs[one], ids[one], np.array([_NOW]), 0)


def _reset_reader(reader: list[PlanReader], ids: Any) -> None:
    """Reset the reader so that every member's next decision reads its plan from the store."""
    reader[0] = PlanReader(reader[0].world, reader[0].store)
    reader[0].read_plans_in_force(ids, np.zeros(len(ids), np.int64))


class _LatencyRuns:
    """Runs over all members; each quantile is taken of the same runs.

    Args:
        once: makes the decision of one member, given its index.
        count: number of members; at most ``_DECISIONS`` of them are used.
        begin: function that is called before each run; None for none.
    """

    def __init__(
        self, once: Callable[[int], None], count: int, begin: Callable[[], None] | None
    ) -> None:
        self._once, self._count, self._begin = once, min(_DECISIONS, count), begin
        self._runs: list[Float64] = []  # [members] seconds of each run
        self._num_returned = dict.fromkeys(_QUANTILES, 0)

    def quantile(self, q: int) -> float:
        """Return the q-th percentile of the next run's wall-clock times, in microseconds."""
        number = self._num_returned[q]
        self._num_returned[q] += 1
        if number == len(self._runs):
            self._runs.append(self._run())
        return float(np.percentile(self._runs[number], q)) * 1e6

    def _run(self) -> Float64:
        """Return the wall-clock seconds of each member's decision, [members]."""
        if self._begin is not None:
            self._begin()
        spent = np.empty(self._count)
        for i in range(self._count):
            start = time.perf_counter()
            self._once(i)
            spent[i] = time.perf_counter() - start
        return spent
