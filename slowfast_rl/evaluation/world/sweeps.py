"""A sweep: the same members, under the same luck, live once under each of several plans."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from slowfast_rl.evaluation.protocol import EvaluationProtocol, burned_in
from slowfast_rl.members.arrays import Bool, Float32, Float64, Int32
from slowfast_rl.members.population import Population
from slowfast_rl.members.world import World
from slowfast_rl.policies.executor import default_executor
from slowfast_rl.policies.guard import feasible_target
from slowfast_rl.store import UNIFORM_SHAPE

CHECK_POPULATION = 3_000_000  # of the property checks: neither evaluation nor references use it
HORIZONS = (1, 2, 4, 8, 13, 26, 52, 104)  # weeks


class Sweep(NamedTuple):
    """What P constant plans brought to N members, with the default executor.

    Counts are sums over weeks and lucks.
    """

    plans: Int32  # [P, C] sends a week
    curve: Float64  # [P, W] discounted return after each week, mean over members and lucks
    returns: dict[int, Float64]  # by horizon in weeks: [P, N] discounted return, mean over lucks
    views: Float64  # [P, N] viewing days, expected
    sends: Float64  # [P, N, C]
    opens: Float64  # [P, N, C] logged
    responses: Float64  # [P, N] causal opens, expected
    left: Float64  # [P, N, C] lucks in which the member left a channel it was opted in to
    opted_in: Float64  # [N, C] lucks in which the member was opted in at the start
    base_rate: Float32  # [N] x, views per day
    sensitivity: Float32  # [N] kappa

    def row(self, plan: Sequence[int]) -> int:
        """Return the row of a plan, 0 to P - 1."""
        return int(self.plans.tolist().index(list(plan)))


def check_protocol(
    num_members: int, weeks: int, burn_in: int = 8, lucks: int = 1
) -> EvaluationProtocol:
    """Return a protocol on members that no training, reference or evaluation uses."""
    return EvaluationProtocol(
        num_members, weeks, burn_in, CHECK_POPULATION, CHECK_POPULATION, tuple(range(lucks))
    )


def sweep(
    world: World,
    protocol: EvaluationProtocol,
    plans: Sequence[Sequence[int]] | Int32 | None = None,
    progress: str | None = None,
) -> Sweep:
    """Let members live under each plan in turn.

    Args:
        world: the world.
        protocol: who, for how long, after which burn-in; the return is the mean over its lucks.
        plans: [P, C] sends a week, paced evenly; None for the world's whole menu.
        progress: name for a progress bar; None for none.
    """
    uniform = world.plans[world.plan_shapes == UNIFORM_SHAPE]
    menu = np.array(uniform if plans is None else plans, np.int32)
    n, num_plans, num_channels = protocol.num_members, *menu.shape
    by_channel = (num_plans, n, num_channels)
    result = Sweep(
        plans=menu,
        curve=np.zeros((num_plans, protocol.weeks)),
        returns={h: np.zeros((num_plans, n)) for h in HORIZONS if h <= protocol.weeks},
        views=np.zeros((num_plans, n)),
        sends=np.zeros(by_channel),
        opens=np.zeros(by_channel),
        responses=np.zeros((num_plans, n)),
        left=np.zeros(by_channel),
        opted_in=np.zeros((n, num_channels)),
        base_rate=np.empty(n, np.float32),
        sensitivity=np.empty(n, np.float32),
    )
    total = len(protocol.streams) * num_plans
    with tqdm(total=total, desc=progress, unit="plan", disable=not progress) as bar:
        for stream in protocol.streams:
            start = burned_in(world, protocol, stream)
            result.opted_in[:] += start.opted_in
            result.base_rate[:] = start.simulation.traits.base_rate
            result.sensitivity[:] = start.simulation.traits.fatigue_sensitivity
            for row in range(num_plans):
                _live(result, row, start.clone(), protocol)
                bar.update()
    return result


def _live(result: Sweep, row: int, population: Population, protocol: EvaluationProtocol) -> None:
    """Add one plan's life under one luck to a sweep."""
    executor, discount = default_executor(), population.world.reward.weekly_discount
    target = np.tile(result.plans[row], (protocol.num_members, 1))
    share = 1 / len(protocol.streams)
    reached = np.zeros(protocol.num_members)
    began, left = population.opted_in, np.zeros_like(population.opted_in, dtype=bool)
    for number in range(protocol.weeks):
        week = executor.run_week(population, feasible_target(target, population.opted_in))
        reached += discount**number * week.reward
        result.curve[row, number] += share * reached.mean()
        if number + 1 in result.returns:
            result.returns[number + 1][row] += share * reached
        result.views[row] += week.views
        result.sends[row] += week.sends
        result.opens[row] += week.opens
        result.responses[row] += week.causal_opens
        left |= week.opt_outs > 0
    result.left[row] += left & began


def quintiles(values: Float32) -> tuple[Bool, ...]:
    """Return five masks [N], from the lowest fifth of the values to the highest."""
    fifth = np.searchsorted(np.quantile(values, [0.2, 0.4, 0.6, 0.8]), values, side="right")
    return tuple(fifth == g for g in range(5))
