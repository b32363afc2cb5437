"""The default fast policy: meet the plan exactly, send the candidate of the best quality."""

from collections.abc import Callable
from typing import Any

import numpy as np

from slowfast_rl.members.arrays import Float32, Float64, Int32, UInt8, UInt32
from slowfast_rl.members.block_policy import RANKER_BLOCK, Opportunities, block_form, vectorised
from slowfast_rl.members.compile import driver
from slowfast_rl.members.numerics import ONE
from slowfast_rl.members.opportunity import (
    PACER_SIGNATURE,
    RANKER_SIGNATURE,
    FastPolicy,
    Opportunity,
)
from slowfast_rl.members.population import Population
from slowfast_rl.members.scratch import float_lane, word_lane
from slowfast_rl.members.state import Log, Week
from slowfast_rl.members.world import World
from slowfast_rl.policies.day_weights import pacing_parameters, week_weights, weighed_slots
from slowfast_rl.policies.guard import guard, pack_plans, target_of
from slowfast_rl.store import UNIFORM_SHAPE

_NO_WEIGHTS = np.zeros(0, np.float32)


@vectorised
@driver(PACER_SIGNATURE)
def exact_pace(
    opportunity: Opportunity, plan_rows: Int32, pacing: Float32
) -> tuple[float, np.float32, np.float32]:
    """Consider a send with probability remaining / slots left, each slot counted by its weight.

    The target is met exactly, evenly in time where weights are equal; ``pacing`` is
    :func:`exact_pacing`.
    """
    remaining = target_of(plan_rows, opportunity.row, opportunity.channel) - opportunity.sent
    if remaining <= 0 or opportunity.opted_in == 0:
        return -np.inf, np.float32(0), ONE
    if remaining >= opportunity.slots_left:
        return -np.inf, ONE, ONE
    left = weighed_slots(opportunity, pacing, 1, opportunity.slots_left)
    return -np.inf, np.float32(remaining), left


def exact_pacing(world: World, weights: Float32 | None = None) -> Float32:
    """Return the exact pacer's parameters for a week under day weights [N, 7], None for equal."""
    return pacing_parameters(world, _NO_WEIGHTS, weights)


@driver(RANKER_SIGNATURE)
def quality_rank(
    opportunity: Opportunity,
    topics: UInt8,
    qualities: Float32,
    log: Log,
    launches: Float32,
    ranking: Float32,
) -> tuple[int, float]:
    """Return the candidate of the highest content quality and that quality."""
    best = 0
    for j in range(1, qualities.shape[0]):
        if qualities[j] > qualities[best]:
            best = j
    return best + 1, float(qualities[best])


@block_form(quality_rank, RANKER_BLOCK)
def quality_rank_block(
    opportunities: Opportunities,
    rank: Any,
    topics: UInt8,
    qualities: Float32,
    log: Log,
    launches: Float32,
    ranking: Float32,
    actions: UInt32,
    scores: Float64,
) -> None:
    """Rank the candidates of a block; see :func:`quality_rank`."""
    best, highest = word_lane(), float_lane()
    for k in range(opportunities.size):
        best[k], highest[k] = 1, qualities[0, k]
    for j in range(1, opportunities.num_candidates):
        for k in range(opportunities.size):
            better = qualities[j, k] > highest[k]
            best[k] = np.uint32(j + 1) if better else best[k]
            highest[k] = qualities[j, k] if better else highest[k]
    for k in range(opportunities.size):
        actions[k], scores[k] = best[k], float(highest[k])


class JittedExecutor:
    """An executor of a jitted pacer and a jitted ranker, which the fused driver calls.

    Args:
        policy: a function that returns the jitted policy, given the world and the day weights of
            the week, [N, 7] or None if all are equal. None meets the plan exactly, paced by its
            shape, and ranks on quality.
    """

    thread_safe = True

    def __init__(self, policy: Callable[[World, Float32 | None], FastPolicy] | None = None) -> None:
        self._policy = policy

    def policy(self, world: World, weights: Float32 | None = None) -> FastPolicy:
        """Return the jitted policy of one week under day weights [N, 7], None for uniform ones."""
        if self._policy is not None:
            return self._policy(world, weights)
        return FastPolicy(exact_pace, quality_rank, exact_pacing(world, weights), _NO_WEIGHTS)

    def run_week(
        self,
        population: Population,
        target: Int32,
        cap: Int32 | None = None,
        shape: Int32 | int = UNIFORM_SHAPE,
    ) -> Week:
        """Simulate one week by the fused driver; see :meth:`Executor.run_week`."""
        plan_rows = pack_plans(target, target if cap is None else cap, shape)
        policy = self.policy(population.world, week_weights(population, shape))
        return population.run_week(policy, guard, plan_rows)


def default_executor() -> JittedExecutor:
    """Return the executor that every planner is scored with: exact pacer, quality ranker."""
    return JittedExecutor()
