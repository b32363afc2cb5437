"""Sweeps: simulations of the same members under the same luck, once for each of several plans."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from slowfast_rl.evaluation.protocol import EvaluationProtocol, burned_in
from slowfast_rl.members.arrays import Float32, Float64, Int32
from slowfast_rl.members.population import Population
from slowfast_rl.members.world import World
from slowfast_rl.policies.simulate import constant_plan_weeks
from slowfast_rl.store import UNIFORM_SHAPE

CHECK_POPULATION = 3_000_000  # population of the property checks alone
HORIZONS = (1, 2, 4, 8, 13, 26, 52, 104)  # weeks


class Sweep(NamedTuple):
    """The results of P constant plans on N members, with the default executor.

    Counts are sums over weeks and lucks.
    """

    plans: Int32  # [P, C] sends per week
    curve: Float64  # [P, W] discounted return up to each week, mean over members and lucks
    returns: dict[int, Float64]  # by horizon in weeks: [P, N] discounted return, mean over lucks
    views: Float64  # [P, N] expected viewing days
    sends: Float64  # [P, N, C]
    opens: Float64  # [P, N, C] logged opens
    responses: Float64  # [P, N] expected causal opens
    left: Float64  # [P, N, C] lucks in which the member opted out, if opted in at the start
    opted_in: Float64  # [N, C] lucks in which the member was opted in at the start
    base_rate: Float32  # [N] views per day
    sensitivity: Float32  # [N] fatigue sensitivity

    def row(self, plan: Sequence[int]) -> int:
        """Return the row of a plan, 0 to P - 1."""
        return int(self.plans.tolist().index(list(plan)))


def check_protocol(
    num_members: int, weeks: int, burn_in: int = 8, lucks: int = 1
) -> EvaluationProtocol:
    """Return a protocol on members that training, references and evaluation do not use."""
    return EvaluationProtocol(
        num_members, weeks, burn_in, CHECK_POPULATION, CHECK_POPULATION, tuple(range(lucks))
    )


def sweep(
    world: World,
    protocol: EvaluationProtocol,
    plans: Sequence[Sequence[int]] | Int32 | None = None,
    progress: str | None = None,
) -> Sweep:
    """Simulate the members once under each plan.

    Args:
        world: the world.
        protocol: the evaluation protocol; returns are means over its lucks.
        plans: [P, C] sends per week, with uniform pacing; None for the world's whole menu.
        progress: name of a progress bar; None for none.
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
                _simulate(result, row, start.clone(), protocol)
                bar.update()
    return result


def _simulate(
    result: Sweep, row: int, population: Population, protocol: EvaluationProtocol
) -> None:
    """Simulate one plan under one luck, and add the results to the sweep."""
    discount = population.world.reward.weekly_discount
    share = 1 / len(protocol.streams)
    returns = np.zeros(protocol.num_members)
    opted_in_at_start, left = population.opted_in, np.zeros_like(population.opted_in, dtype=bool)
    weeks = constant_plan_weeks(population, result.plans[row], protocol.weeks)
    for number, week in enumerate(weeks):
        returns += discount**number * week.reward
        result.curve[row, number] += share * returns.mean()
        if number + 1 in result.returns:
            result.returns[number + 1][row] += share * returns
        result.views[row] += week.views
        result.sends[row] += week.sends
        result.opens[row] += week.opens
        result.responses[row] += week.causal_opens
        left |= week.opt_outs > 0
    result.left[row] += left & opted_in_at_start
