"""A local search of plans per segment, where members move between segments.

The best plan for the present members of a segment need not be the best plan of the segment, because
it also applies to members that enter the segment later, and it affects which members leave it.
"""

from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import numpy as np

from slowfast_rl.members.arrays import Float64, Int64
from slowfast_rl.members.population import Population, branch
from slowfast_rl.members.world import World
from slowfast_rl.policies.contracts import Executor
from slowfast_rl.policies.plan_exchange import plan_request
from slowfast_rl.policies.simulate import discounted_returns
from slowfast_rl.slow.branches import blocks_of
from slowfast_rl.slow.plan_effect_features import mean_viewing
from slowfast_rl.slow.simple import FeasibleIndex


class Search(NamedTuple):
    """Where a search is."""

    plans: Int64  # [S] indices into the menu, one per segment
    rounds: int  # that were completed
    played: int  # members that were simulated


def improve(
    starts: list[Population],
    thresholds: Float64,
    begun: Search,
    weeks: int,
    rounds: int,
    executor: Executor | None = None,
    completed: Callable[[Search], None] = lambda _: None,
) -> Search:
    """Return improved plans per segment.

    Each round simulates the plans and all their neighbours under the same luck and takes the best.

    Args:
        starts: members at the beginning of a week, one population per luck; they are not changed.
        thresholds: [S - 1] viewing days a week between the segments.
        begun: the plans to improve.
        weeks: number of weeks of each simulation.
        rounds: largest number of rounds.
        executor: the fast policy; None for the default.
        completed: called after each round.
    """
    plans, first, played = begun
    for number in range(first, rounds):
        tried = np.array([plans, *neighbours(starts[0].world, plans)])  # [P, S]
        returns = [
            _returns(block, thresholds, tried, weeks, executor)
            for start in starts
            for block in blocks_of(start)
        ]  # fmt: skip
        played += len(tried) * sum(start.num_members for start in starts)
        best = int(np.sum(returns, axis=0).argmax())
        if best == 0:
            break
        plans = tried[best]
        completed(Search(plans, number + 1, played))
    return Search(plans, rounds, played)


def neighbours(world: World, plans: Int64) -> list[Int64]:
    """Return all plans [S] that differ by one step in one segment.

    A step is one of the menu on one channel, or another pacing shape.
    """
    sizes = world.plan_grid
    positions = np.stack(np.unravel_index(plans, sizes))  # [1 + C, S], the shape first
    steps = [
        (c, s, positions[c, s] + step)
        for c, s, step in product(range(1, len(sizes)), range(len(plans)), (-1, 1))
        if 0 <= positions[c, s] + step < sizes[c]
    ]
    steps += [
        (0, s, shape)
        for s, shape in product(range(len(plans)), range(sizes[0]))
        if shape != positions[0, s]
    ]
    found = []
    for axis, segment, position in steps:
        moved = positions.copy()
        moved[axis, segment] = position
        found.append(np.ravel_multi_index(tuple(moved), sizes).astype(np.int64))
    return found


def _returns(
    start: Population, thresholds: Float64, tried: Int64, weeks: int, executor: Executor | None
) -> Float64:
    """Return the sum of the members' returns under each row of ``tried`` [P, S], [P]."""
    world = start.world
    feasible_index, population = FeasibleIndex(world), branch(start, len(tried))
    which = np.tile(np.arange(len(tried)), start.num_members)  # [N P]

    def choose(members: Population, _: int) -> Int64:
        asked = plan_request(members)
        segment = np.searchsorted(thresholds, mean_viewing(world, asked.observations), side="right")
        return feasible_index(tried[which, segment], asked.feasible)

    returns = discounted_returns(population, weeks, choose, executor)
    total: Float64 = returns.reshape(start.num_members, len(tried)).sum(axis=0)
    return total
