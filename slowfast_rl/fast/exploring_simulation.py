"""The executor that explores, for simulations in which only its probabilities matter.

:class:`~slowfast_rl.fast.ExploringExecutor` looks at observations as a service does, one slot at a
time. The same probabilities run in the fused driver, with other coins and much faster.
"""

from functools import cache
from typing import Any

import numba
import numpy as np

from slowfast_rl.fast.executor import PacedExecutor
from slowfast_rl.fast.exploring import ExploringExecutor
from slowfast_rl.members.arrays import Float32
from slowfast_rl.members.compile import dispatcher_of, kernel
from slowfast_rl.members.opportunity import (
    PACER_SIGNATURE,
    RANKER_SIGNATURE,
    FastPolicy,
    Opportunity,
    PacerFunction,
    RankerFunction,
)
from slowfast_rl.members.random import Domain, ExplorationStream, choose_below, draw, uniform
from slowfast_rl.members.world import World
from slowfast_rl.policies.contracts import Executor
from slowfast_rl.policies.executor import JittedExecutor, exact_pace, exact_pacing

_STREAM, _DOMAIN = int(ExplorationStream.RANDOM_DECISIONS), int(Domain.EXPLORATION)
_WHETHER, _WHICH = 1, 2  # numbers of draws; a service draws number 0
_OPTIONS = {"nogil": True, "error_model": "numpy"}
_NO_WEIGHTS = np.zeros(0, np.float32)


def for_simulation(executor: Executor | None) -> Executor | None:
    """Return an executor with the same probabilities of all actions, which simulates faster.

    Args:
        executor: any executor; one that is not made of an exploring and a paced one is returned.
    """
    if not isinstance(executor, ExploringExecutor):
        return executor
    inner = executor.executor
    if not isinstance(inner, PacedExecutor):
        return executor
    share = np.float32(executor.settings.explore)

    def policy(world: World, weights: Float32 | None) -> FastPolicy:
        own, exact = inner.policy(world, weights), exact_pacing(world, weights)
        head = np.array([share, len(exact)], np.float32)
        return FastPolicy(
            _pacer(own.pace),
            _ranker(own.rank),
            np.concatenate([head, exact, own.pacing]),
            np.concatenate([head[:1], own.ranking]),
        )

    simulated = JittedExecutor(policy)
    simulated.thread_safe = inner.thread_safe
    return simulated


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
