"""Property 5: logs of a policy that prefers active members overstate the effect of messages.

A ladder is a sequence of plans from rare to frequent. Each member gets one of its plans by the
viewing days in its log, and branches of the member get the others under the same luck. The log
contains the member's own plan only; the causal effect is computed from all branches.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from slowfast_rl.evaluation.protocol import EvaluationProtocol, burned_in
from slowfast_rl.evaluation.statistics import Interval, mean_interval, ranked_groups
from slowfast_rl.members.arrays import Float64, Int32, Int64
from slowfast_rl.members.population import Population
from slowfast_rl.members.random import Domain, ExplorationStream, random_words
from slowfast_rl.members.state import EW4
from slowfast_rl.members.world import World
from slowfast_rl.policies.simulate import constant_plan_weeks


class Confounded(NamedTuple):
    """The slope of an outcome on messages per week: in the log, and as a causal effect."""

    logged: Interval  # slope of the outcome on messages per week, over members
    caused: Interval  # the same slope over each member's branches, mean over members
    overstated: Interval  # logged minus caused, paired over members

    @property
    def holds(self) -> bool:
        """Whether the slope in the log is positive and exceeds the causal slope."""
        return self.logged.low > 0 and self.overstated.low > 0


class Confounding(NamedTuple):
    """Property 5, for two outcomes."""

    viewing: Confounded  # viewing days per week
    retention: Confounded  # share still subscribed at the end

    @property
    def holds(self) -> bool:
        """Whether both outcomes are confounded."""
        return self.viewing.holds and self.retention.holds


def confounding(
    world: World,
    protocol: EvaluationProtocol,
    ladder: Sequence[Sequence[int]],
    random_share: float = 0.3,
) -> Confounding:
    """Measure property 5 on members that are alive and opted in to a channel after the burn-in.

    Args:
        world: the world.
        protocol: the evaluation protocol, whose first luck is used.
        ladder: [R, C] plans from rare to frequent; more active members get more frequent plans.
        random_share: share of members whose plan is drawn at random instead; 1 gives a randomised
            log.

    Raises:
        ValueError: ``random_share`` is outside 0 to 1, or the ladder has fewer than two plans.
    """
    if not 0 <= random_share <= 1:
        raise ValueError(f"random_share is {random_share}; allowed is 0 to 1")
    if len(ladder) < 2:
        raise ValueError(f"ladder has {len(ladder)} plans; allowed is 2 or more")
    start = burned_in(world, protocol, protocol.streams[0])
    start = start.take(np.flatnonzero(start.alive & start.opted_in.any(axis=1)))
    assigned = _assign_plans(start, len(ladder), random_share)
    plans = np.array(ladder, np.int32)
    by_plan = [_outcomes(start.clone(), plan, protocol.weeks) for plan in plans]
    sends = plans.sum(axis=1).astype(np.float64)
    outcomes = np.stack(by_plan)  # [R, 2, M]
    return Confounding(
        _confounded(sends, assigned, outcomes[:, 0]), _confounded(sends, assigned, outcomes[:, 1])
    )


def slope(x: Float64, y: Float64) -> Float64:
    """Return values [N] whose mean is the least-squares slope of y [N] on x [N].

    Their variance gives the robust (sandwich) variance of the slope, so that the intervals of means
    apply to slopes and their paired differences.
    """
    centred = x - x.mean()
    variance = float((centred**2).mean())
    estimate = float((centred * y).mean()) / variance
    residual = y - y.mean() - estimate * centred
    return np.asarray(estimate + centred * residual / variance, np.float64)


def _assign_plans(population: Population, count: int, random_share: float) -> Int64:
    """Return each member's plan, [N] indices: by recent viewing days, or drawn at random."""
    by_activity = ranked_groups(population.simulation.log.by_member[:, EW4], count)
    seed, members = population.simulation.seed, population.members
    zeros = np.zeros(len(members), np.int64)
    stream = ExplorationStream.RANDOM_RUNGS
    coins = random_words(seed, stream, members, zeros, Domain.EXPLORATION) / 2**32
    drawn = random_words(seed, stream, members, zeros + 1, Domain.EXPLORATION) / 2**32
    return np.where(coins < random_share, (drawn * count).astype(np.int64), by_activity)


def _outcomes(population: Population, plan: Int32, weeks: int) -> Float64:
    """Return viewing days per week and whether the member stayed, under one plan, [2, M]."""
    viewing = np.zeros(population.num_members)
    for week in constant_plan_weeks(population, plan, weeks):
        viewing += week.viewing_days
    return np.stack([viewing / weeks, population.alive])


def _confounded(sends: Float64, assigned: Int64, outcomes: Float64) -> Confounded:
    """Compare the slope in the log with the causal slope.

    Args:
        sends: [R] messages per week of each plan.
        assigned: [M] index of each member's own plan.
        outcomes: [R, M] outcome of each member under each plan.
    """
    logged = slope(sends[assigned], outcomes[assigned, np.arange(len(assigned))])
    centred = sends - sends.mean()
    caused = centred @ outcomes / (centred**2).sum()
    return Confounded(mean_interval(logged), mean_interval(caused), mean_interval(logged - caused))
