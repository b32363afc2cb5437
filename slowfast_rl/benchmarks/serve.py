"""Benchmarks of single decisions: the time to read a plan from the store and score candidates."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

import numpy as np

from slowfast_rl.agents.online import OnlinePredictor
from slowfast_rl.benchmarks.cases import Case
from slowfast_rl.benchmarks.store import raw_mget, stores
from slowfast_rl.fast import AffinityRanker, BidPricePacer, PacedExecutor
from slowfast_rl.fast.affinity import Weights
from slowfast_rl.fast.decide import decide
from slowfast_rl.members.arrays import Float32, Float64, Int64
from slowfast_rl.members.clock import WEEK_SECONDS
from slowfast_rl.members.observations import opportunity_observation
from slowfast_rl.members.population import Population
from slowfast_rl.members.world import World
from slowfast_rl.slow.simple import safe_planner
from slowfast_rl.store import FeatureStore, pacing_plan, read_plans, write_plans

_DECISIONS = 2000  # per run, at most one for each member
_QUANTILES = (50, 99)
_NOW = WEEK_SECONDS + 1
MINUS = "minus raw MGET"  # in the name of a row whose quantile is the difference of two


def serve_cases(
    world: World, members: int, seed: int, redis_url: str | None, stack: ExitStack
) -> list[Case]:
    """Return benchmarks of a decision and of its store read: p50 and p99, in microseconds.

    A member's first decision of a week reads its plan from the store; later decisions find it in
    memory. A predicted action is a decision whose arguments are checked first, as ``predict`` of an
    agent does. Over Redis, a first decision is also compared with a bare read of the same bytes.

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
        agent = _Agent(world, store, executor, obs, population.members)
        actions = [
            ("read", _LatencyRuns(partial(_read, store, population.members), members)),
            ("first decision", _LatencyRuns(agent.decide, members, agent.begin)),
            ("later decision", _LatencyRuns(agent.decide, members)),
            ("first predicted action", _LatencyRuns(agent.predict, members, agent.begin)),
            ("later predicted action", _LatencyRuns(agent.predict, members)),
        ]
        if name == "Redis":
            gets = [
                raw_mget(store, population.members[i : i + 1])
                for i in range(min(members, _DECISIONS))
            ]
            bare = partial(_call, gets)
            actions += [
                ("raw MGET", _LatencyRuns(bare, members)),
                (f"first decision {MINUS}", _LatencyRuns(agent.decide, members, agent.begin, bare)),
            ]
        cases += [
            Case(f"{name}, {action}, p{q}", members, "µs", partial(runs.quantile, q))
            for action, runs in actions
            for q in _QUANTILES
        ]
    return cases


def _read(store: FeatureStore, ids: Any, i: int) -> None:
    read_plans(store, ids[i : i + 1], _NOW)


def _call(functions: list[Callable[[], Any]], i: int) -> None:
    functions[i]()


class _Agent:
    """What makes the decisions of each member, by its index."""

    def __init__(
        self,
        world: World,
        store: FeatureStore,
        executor: PacedExecutor,
        obs: Float32,
        ids: Int64,
    ) -> None:
        self._parts = world, safe_planner(world), executor, store, 0
        self._obs, self._ids = obs, ids
        self.begin()

    def begin(self) -> None:
        """Make every member's next decision read its plan from the store."""
        self._predictor = OnlinePredictor(*self._parts)
        self._predictor.reader.read_plans_in_force(self._ids, np.zeros_like(self._ids))

    def decide(self, i: int) -> None:
        one, agent = slice(i, i + 1), self._predictor
        arguments = self._obs[one], self._ids[one], np.array([_NOW])
        decide(agent.world, agent.fast, agent.reader, *arguments, agent.seed)

    def predict(self, i: int) -> None:
        self._predictor.choose(self._obs[i : i + 1], self._ids[i : i + 1], _NOW)


class _LatencyRuns:
    """Runs over all members; each quantile is taken of the same runs.

    Args:
        once: makes the decision of one member, given its index.
        count: number of members; at most ``_DECISIONS`` of them are used.
        begin: function that is called before each run; None for none.
        bare: makes what each decision is compared with, just before it: its quantile is
            subtracted; None for no comparison.
    """

    def __init__(
        self,
        once: Callable[[int], None],
        count: int,
        begin: Callable[[], None] | None = None,
        bare: Callable[[int], None] | None = None,
    ) -> None:
        self._once, self._count, self._begin = once, min(_DECISIONS, count), begin
        self._bare = bare
        self._runs: list[Float64] = []  # [2, members] seconds of each run
        self._num_returned = dict.fromkeys(_QUANTILES, 0)

    def quantile(self, q: int) -> float:
        """Return the q-th percentile of the next run's wall-clock times, in microseconds."""
        number = self._num_returned[q]
        self._num_returned[q] += 1
        if number == len(self._runs):
            self._runs.append(self._run())
        bare, decision = np.percentile(self._runs[number], q, axis=1)
        return float(decision - bare) * 1e6

    def _run(self) -> Float64:
        """Return the wall-clock seconds of bare reads, or zeros, and of decisions, [2, members]."""
        if self._begin is not None:
            self._begin()
        spent = np.zeros((2, self._count))
        for i in range(self._count):
            start = time.perf_counter()
            if self._bare is not None:
                self._bare(i)
                spent[0, i] = -start + (start := time.perf_counter())
            self._once(i)
            spent[1, i] = time.perf_counter() - start
        return spent
