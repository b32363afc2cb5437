"""Plans per segment where members move between segments: improved one step on the menu at a time.

What is best for those who are in a segment now is not what is best for the segment: its plan serves
whoever comes into it later, and moves them on.
"""

from itertools import product

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


def improve(
    starts: list[Population],
    thresholds: Float64,
    plans: Int64,
    weeks: int,
    rounds: int,
    executor: Executor | None = None,
) -> tuple[Int64, int]:
    """Return better plans per segment [S], and how many simulations of these weeks it took.

    Each round simulates the plans and all their neighbours on the same luck and goes to the best.

    Args:
        starts: members at the beginning of a week, once per luck; they stay as they are.
        thresholds: [S - 1] viewing days a week between the segments.
        plans: [S] indices into the menu.
        weeks: length of each simulation.
        rounds: steps at most.
        executor: the fast policy; None for the default.
    """
    played = 0
    for _ in range(rounds):
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
    return plans, played


def neighbours(world: World, plans: Int64) -> list[Int64]:
    """Return plans [S] that differ in one segment's channel by one step of the menu."""
    sizes = tuple(len(targets) for targets in world.menu)
    positions = np.stack(np.unravel_index(plans, sizes))  # [C, S]
    found = []
    for c, s, step in product(range(len(sizes)), range(len(plans)), (-1, 1)):
        moved = positions.copy()
        moved[c, s] += step
        if 0 <= moved[c, s] < sizes[c]:
            found.append(np.ravel_multi_index(tuple(moved), sizes).astype(np.int64))
    return found


def _returns(
    start: Population, thresholds: Float64, tried: Int64, weeks: int, executor: Executor | None
) -> Float64:
    """Return the members' summed discounted return under each [S] of tried [P, S] plans, [P]."""
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
