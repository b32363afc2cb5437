"""Exploration in the fused driver, for simulations in which only its probabilities matter.

:class:`~slowfast_rl.fast.ExploringExecutor` reads observations as a service does, one slot at a
time. The fused driver has the same probabilities, draws other coins, and is much faster.
"""

from functools import cache
from typing import Any

import numba
import numpy as np

from slowfast_rl.members.arrays import Int32
from slowfast_rl.members.compile import dispatcher_of, kernel
from slowfast_rl.members.opportunity import (
    PACER_SIGNATURE,
    RANKER_SIGNATURE,
    FastPolicy,
    Opportunity,
    PacerFunction,
    RankerFunction,
)
from slowfast_rl.members.population import Population
from slowfast_rl.members.random import Domain, ExplorationStream, choose_below, draw, uniform
from slowfast_rl.members.state import Week
from slowfast_rl.policies.contracts import BaseExecutor, Executor
from slowfast_rl.policies.day_weights import week_weights
from slowfast_rl.policies.executor import exact_pace, exact_pacing
from slowfast_rl.policies.guard import guard, pack_plans
from slowfast_rl.store import UNIFORM_SHAPE

_STREAM, _DOMAIN = int(ExplorationStream.RANDOM_DECISIONS), int(Domain.EXPLORATION)
_WHETHER, _WHICH = 1, 2  # numbers of draws; a service draws number 0
_OPTIONS = {"nogil": True, "error_model": "numpy"}


class ExploringSimulation:
    """Simulates weeks of an executor that explores, by the fused driver.

    Args:
        executor: the executor that explores.
        explore: share of decisions that are drawn at random.
        stepwise: simulates the weeks if the executor has no compiled policy.
    """

    def __init__(self, executor: BaseExecutor, explore: float, stepwise: Executor) -> None:
        self.executor, self.explore, self.stepwise = executor, explore, stepwise

    @property
    def thread_safe(self) -> bool:
        """Whether several threads at once may use the executor that explores."""
        return self.executor.thread_safe

    def run_week(
        self,
        population: Population,
        target: Int32,
        cap: Int32 | None = None,
        shape: Int32 | int = UNIFORM_SHAPE,
    ) -> Week:
        """Simulate one week; see :meth:`Executor.run_week`."""
        world, weights = population.world, week_weights(population, shape)
        own = self.executor.fast_policy(world, weights)
        if own is None:
            return self.stepwise.run_week(population, target, cap, shape)
        exact = exact_pacing(world, weights)
        head = np.array([self.explore, len(exact)], np.float32)
        policy = FastPolicy(
            _pacer(own.pace),
            _ranker(own.rank),
            np.concatenate([head, exact, own.pacing]),
            np.concatenate([head[:1], own.ranking]),
        )
        plan_rows = pack_plans(target, target if cap is None else cap, shape)
        return population.run_week(policy, guard, plan_rows)


@kernel
def _explored(opportunity: Opportunity, share: np.float32) -> bool:
    """Return whether a decision is drawn at random."""
    word = draw(opportunity.seed, _STREAM, opportunity.member, opportunity.time, _WHETHER, _DOMAIN)
    return bool(uniform(word) < share)


@cache
def _pacer(pace: PacerFunction) -> PacerFunction:
    """Return a pacer that is the exact one where a decision is drawn at random."""
    own, exact = dispatcher_of(pace), dispatcher_of(exact_pace)

    def explore(opportunity: Any, plan_rows: Any, pacing: Any) -> Any:
        first = 2 + int(pacing[1])
        if _explored(opportunity, pacing[0]):
            return exact(opportunity, plan_rows, pacing[2:first])
        return own(opportunity, plan_rows, pacing[first:])

    found: PacerFunction = numba.njit(PACER_SIGNATURE, **_OPTIONS)(explore)
    return found


@cache
def _ranker(rank: RankerFunction) -> RankerFunction:
    """Return a ranker that draws a candidate where a decision is drawn at random."""
    own = dispatcher_of(rank)

    def explore(
        opportunity: Any, topics: Any, qualities: Any, log: Any, launches: Any, ranking: Any
    ) -> Any:
        if _explored(opportunity, ranking[0]):
            word = draw(
                opportunity.seed, _STREAM, opportunity.member, opportunity.time, _WHICH, _DOMAIN
            )
            return int(choose_below(word, topics.shape[0])[0]) + 1, 0.0
        return own(opportunity, topics, qualities, log, launches, ranking[1:])

    found: RankerFunction = numba.njit(RANKER_SIGNATURE, **_OPTIONS)(explore)
    return found
