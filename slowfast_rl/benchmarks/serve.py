"""How long one decision takes: the plan read through the store, candidates scored, at batch 1."""

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

_DECISIONS = 2000  # of a repeat, at most one a member
_QUANTILES = (50, 99)
_NOW = WEEK_SECONDS + 1


def serve_cases(
    world: World, members: int, seed: int, redis_url: str | None, stack: ExitStack
) -> list[Case]:
    """Return the cases: p50 and p99 of a decision and of its bare store read, in microseconds.

    A member's first decision of a week reads its plan through the store; later ones know it.

    Args:
        world: the world.
        members: whose plans are in the store; opportunities are theirs in turn.
        seed: of members and plans.
        redis_url: of a server; None leaves it out.
        stack: cleans up.
    """
    population = Population(world, members, seed, seed)
    law = np.linspace(-1, 2, 50).tolist()
    executor = PacedExecutor(
        BidPricePacer.with_quantiles([law] * len(world.channels)),
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
        for what, once, begin in (
            ("read", partial(_read, store, population.members), None),
            ("decision", decision, partial(_forget, reader, population.members)),
            ("later decision", decision, None),
        ):
            passes = _Passes(once, members, begin)
            cases += [
                Case(f"{name}, {what}, p{q}", members, "µs", partial(passes.quantile, q))
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


def _forget(reader: list[PlanReader], ids: Any) -> None:
    """Let all members' next decision be their first of the second week: it reads the store."""
    reader[0] = PlanReader(reader[0].world, reader[0].store)
    reader[0].read_plans_in_force(ids, np.zeros(len(ids), np.int64))


class _Passes:
    """Passes over members, each of which serves all quantiles: the first asked for lives them."""

    def __init__(
        self, once: Callable[[int], None], members: int, begin: Callable[[], None] | None
    ) -> None:
        self._once, self._count, self._begin = once, min(_DECISIONS, members), begin
        self._passes: list[Float64] = []
        self._asked = dict.fromkeys(_QUANTILES, 0)

    def quantile(self, q: int) -> float:
        """Return a quantile of the next pass's real times, in microseconds."""
        number = self._asked[q]
        self._asked[q] += 1
        if number == len(self._passes):
            self._passes.append(self._live())
        return float(np.percentile(self._passes[number], q)) * 1e6

    def _live(self) -> Float64:
        if self._begin is not None:
            self._begin()
        spent = np.empty(self._count)
        for i in range(self._count):
            start = time.perf_counter()
            self._once(i)
            spent[i] = time.perf_counter() - start
        return spent
