"""Backtest of a fitted world: what it earns under groups of the log's plans, and what was earned.

A world that fits on average may still be wrong about what plans do, and what another policy would
earn in it depends on just that. So the weeks of the log are divided by how many messages the plan
in force asked for, and the mean reward of each group is compared with that of the simulated log,
whose members have the plans of the log's members. Members differ much in what they view, so that
the level of a group says little: what is compared is its lead over all weeks of the same log.
"""

from typing import NamedTuple

import numpy as np

from slowfast_rl.evaluation.statistics import (
    Z95,
    Interval,
    independent_difference,
    mean_interval,
    quantile_groups,
)
from slowfast_rl.logs.weekly_log import WeeklyLog
from slowfast_rl.members.arrays import Bool, Float64, Int64
from slowfast_rl.members.world import World
from slowfast_rl.slow.plan_logs import logged_rewards

ARMS = 6  # groups of plans, at most
FAR = 3.0  # standard errors at which an arm is far off
_LEAST = 30  # members of an arm that is shown


class Arm(NamedTuple):
    """One group of plans, in the log and in the fitted world; all intervals are over members.

    Attributes:
        plans: which plans these are, by their messages a week on channels that members have not
            left.
        member_weeks: of the log.
        members: of the log, with such weeks.
        observed: mean reward of such a week in the log.
        simulated: the same in the fitted world.
        observed_lead: ``observed`` minus the mean reward of all weeks of the log.
        simulated_lead: the same in the fitted world.
        difference: simulated minus observed lead.
    """

    plans: str
    member_weeks: int
    members: int
    observed: Interval
    simulated: Interval
    observed_lead: Interval
    simulated_lead: Interval
    difference: Interval

    @property
    def standard_errors(self) -> float:
        """The difference of the leads in its standard errors."""
        half = (self.difference.high - self.difference.low) / 2
        return float(Z95 * self.difference.mean / half) if half > 0 else 0.0


def backtest(observed: WeeklyLog, simulated: WeeklyLog, world: World) -> tuple[Arm, ...]:
    """Return what the log and a simulated log earned under groups of plans, fewest sends first.

    Rewards are logged ones: all opens count as those that a message caused. Groups of few members
    are left out.

    Args:
        observed: the log.
        simulated: of the fitted world, under plans of the log's members.
        world: the fitted world, for its menu and its reward.
    """
    logs = observed, simulated
    planned = [_planned_sends(log, world) for log in logs]
    rewards = [logged_rewards(world, log) for log in logs]
    known = planned[0][planned[0] >= 0]
    groups = quantile_groups(known.astype(np.float64), ARMS)
    found = []
    for group in np.unique(groups):
        counts = np.unique(known[groups == group])
        few, most = int(counts.min()), int(counts.max())
        rows = [np.isin(sends, counts) for sends in planned]
        if min(int(some.any(axis=0).sum()) for some in rows) < _LEAST:
            continue
        (one, one_lead), (other, other_lead) = (
            _mean_and_lead(reward, some, sends >= 0)
            for reward, some, sends in zip(rewards, rows, planned, strict=True)
        )
        found.append(
            Arm(
                plans=f"{few} a week" if few == most else f"{few} to {most} a week",
                member_weeks=int(rows[0].sum()),
                members=int(rows[0].any(axis=0).sum()),
                observed=one,
                simulated=other,
                observed_lead=one_lead,
                simulated_lead=other_lead,
                difference=independent_difference(other_lead, one_lead),
            )
        )
    return tuple(found)


def backtest_warnings(arms: tuple[Arm, ...]) -> list[str]:
    """Return a sentence if the world is far off for some arms."""
    off = [arm for arm in arms if abs(arm.standard_errors) > FAR]
    if not off:
        return []
    worst = max(off, key=lambda arm: abs(arm.standard_errors))
    return [
        f"the fitted world is off by more than {FAR:g} standard errors for {len(off)} of "
        f"{len(arms)} groups of plans, most for {worst.plans}: their lead over all weeks is "
        f"{worst.simulated_lead.mean:+.3f} simulated and {worst.observed_lead.mean:+.3f} observed"
    ]


def _mean_and_lead(rewards: Float64, rows: Bool, whole: Bool) -> tuple[Interval, Interval]:
    """Return the mean reward of some member-weeks, and its lead over that of all, both [T, N]."""
    mean, influence = _mean(rewards, rows)
    level, of_level = _mean(rewards, whole)
    return _around(mean, influence), _around(mean - level, influence - of_level)


def _mean(rewards: Float64, rows: Bool) -> tuple[float, Float64]:
    """Return the mean reward of some member-weeks, and each member's influence on it, [N]."""
    weeks = rows.sum(axis=0)
    total = (rewards * rows).sum(axis=0)
    mean = float(total.sum() / weeks.sum())
    return mean, np.asarray((total - mean * weeks) / weeks.mean(), np.float64)


def _around(mean: float, influence: Float64) -> Interval:
    _, low, high = mean_interval(influence)  # of mean 0
    return Interval(mean, mean + low, mean + high)


def _planned_sends(log: WeeklyLog, world: World) -> Int64:
    """Return the messages a week that plans ask for on channels that members have not left, [T, N].

    Where the member is not there or the plan is not known, it is -1.
    """
    planned = (world.plans[np.maximum(log.plans, 0)] * log.opted_in).sum(axis=2)
    return np.asarray(np.where(log.alive & (log.plans >= 0), planned, -1), np.int64)
