"""Measurements, in a world, of the quantities that public sources report about messaging."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from slowfast_rl.evaluation.leaderboard import WEEKS_PER_MONTH
from slowfast_rl.evaluation.protocol import EvaluationProtocol, burned_in
from slowfast_rl.evaluation.statistics import Interval, mean_interval, ratio_interval
from slowfast_rl.evaluation.world.properties import share
from slowfast_rl.evaluation.world.sweeps import Sweep
from slowfast_rl.members.arrays import Float64
from slowfast_rl.members.world import World
from slowfast_rl.policies.simulate import constant_plan_weeks

ACTIVITY_WEEKS = 4  # the 28 days of the survey
ACTIVE_DAYS = (5, 1)  # viewing days per week that separate the three groups of members


class Rates(NamedTuple):
    """The rates that a company with one constant plan would report."""

    opt_in: list[Interval]  # [C] share opted in at the beginning
    open_rate: list[Interval]  # [C] logged opens per send
    opt_out_per_send: list[Interval]  # [C]
    opt_out_per_week: list[Interval]  # [C] per week of an opted-in member
    churn_per_month: Interval  # per member
    activity: list[Interval]  # [3] shares that view 5 or more, 1 to 5, under 1 day per week


def reported_rates(
    world: World, protocol: EvaluationProtocol, plan: Sequence[int], settling: int = 8
) -> Rates:
    """Measure the rates that a company with one constant plan would report.

    Args:
        world: the world.
        protocol: the evaluation protocol, whose first luck is used; activity is measured in the
            first 4 weeks.
        plan: [C] sends per week.
        settling: number of weeks under the same plan before the measurement.

    Raises:
        ValueError: the protocol has fewer than 4 weeks.
    """
    if protocol.weeks < ACTIVITY_WEEKS:
        raise ValueError(f"weeks is {protocol.weeks}; allowed is {ACTIVITY_WEEKS} or more")
    population = burned_in(world, protocol, protocol.streams[0])
    n = protocol.num_members
    opted_in_at_start = population.opted_in.astype(np.float64)
    sends, opens, opt_outs, reachable = (np.zeros(opted_in_at_start.shape) for _ in range(4))
    churned, alive_weeks, viewing = np.zeros(n), np.zeros(n), np.zeros(n)
    activity: list[Interval] = []
    for _ in constant_plan_weeks(population, plan, settling):
        pass
    alive, opted_in = population.alive, population.opted_in
    for number, week in enumerate(constant_plan_weeks(population, plan, protocol.weeks)):
        sends, opens, opt_outs = sends + week.sends, opens + week.opens, opt_outs + week.opt_outs
        reachable += opted_in & alive[:, None]
        churned, alive_weeks = churned + week.churned, alive_weeks + alive
        viewing += week.viewing_days
        alive, opted_in = population.alive, population.opted_in
        if number + 1 == ACTIVITY_WEEKS:
            activity = _activity(viewing[population.alive] / ACTIVITY_WEEKS)
    return Rates(
        _per_channel(opted_in_at_start, np.ones_like(opted_in_at_start)),
        _per_channel(opens, sends),
        _per_channel(opt_outs, sends),
        _per_channel(opt_outs, reachable),
        Interval(
            *(1 - (1 - p) ** WEEKS_PER_MONTH for p in mean_interval(share(churned, alive_weeks)))
        ),
        activity,
    )


def viewing_lift(result: Sweep, plan: Sequence[int]) -> Interval | None:
    """Return the viewing days that a plan adds, relative to those without messages.

    Args:
        result: a sweep that includes the plan and the plan without messages.
        plan: [C] sends per week, chosen on other members.
    """
    never = result.views[result.row([0] * len(plan))]
    return ratio_interval(result.views[result.row(plan)] - never, never)


def _activity(days: Float64) -> list[Interval]:
    """Return the shares of members in three groups of viewing days per week, highest first."""
    high, low = ACTIVE_DAYS
    groups = (days >= high, (days >= low) & (days < high), days < low)
    return [mean_interval(group.astype(np.float64)) for group in groups]


def _per_channel(numerator: Float64, denominator: Float64) -> list[Interval]:
    return [
        mean_interval(share(numerator[:, c], denominator[:, c])) for c in range(numerator.shape[1])
    ]
