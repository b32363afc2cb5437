"""Property 5: logs of a policy that writes to the active overstate what messages do.

Each member is put on a rung of a ladder of plans by what its log says, and lives with it; its
branches live with the other rungs under the same luck. Logs show the first, the truth is in both.
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
from slowfast_rl.policies.executor import default_executor
from slowfast_rl.policies.guard import feasible_target


class Confounded(NamedTuple):
    """An outcome per message a week: as logs show it, and as messages cause it."""

    logged: Interval  # slope of the outcome on messages a week, over members
    caused: Interval  # the same slope over each member's branches, mean over members
    overstated: Interval  # logged minus caused, paired over members

    @property
    def holds(self) -> bool:
        """Whether frequency and outcome go together in the log by more than the effect."""
        return self.logged.low > 0 and self.overstated.low > 0


class Confounding(NamedTuple):
    """Property 5."""

    viewing: Confounded  # viewing days a week, per message a week
    retention: Confounded  # share still subscribed at the end, per message a week

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
    """Measure property 5 on the members alive and reachable on some channel after the burn-in.

    Args:
        world: the world.
        protocol: who, under which luck (its first), and for how many weeks.
        ladder: [R, C] plans from rare to frequent; the more active get the more frequent.
        random_share: share of members whose rung is drawn instead; 1 for a randomised log.

    Raises:
        ValueError: the share is not one, or fewer than two rungs.
    """
    if not 0 <= random_share <= 1:
        raise ValueError(f"random_share is {random_share}; allowed is 0 to 1")
    if len(ladder) < 2:
        raise ValueError(f"ladder has {len(ladder)} plans; allowed is 2 or more")
    start = burned_in(world, protocol, protocol.streams[0])
    start = start.take(np.flatnonzero(start.alive & start.opted_in.any(axis=1)))
    rung = _rungs(start, len(ladder), random_share)
    plans = np.array(ladder, np.int32)
    lived = [_outcomes(start.clone(), plan, protocol.weeks) for plan in plans]
    sends = plans.sum(axis=1).astype(np.float64)
    outcomes = np.stack(lived)  # [R, 2, M]
    return Confounding(
        _confounded(sends, rung, outcomes[:, 0]), _confounded(sends, rung, outcomes[:, 1])
    )


def slope(x: Float64, y: Float64) -> Float64:
    """Return values [N] whose mean is the least-squares slope of y on x, [N] each.

    Their spread is the slope's (sandwich), so that intervals and paired differences of slopes are
    those of means.
    """
    away = x - x.mean()
    variance = float((away**2).mean())
    estimate = float((away * y).mean()) / variance
    residual = y - y.mean() - estimate * away
    return np.asarray(estimate + away * residual / variance, np.float64)


def _rungs(population: Population, count: int, random_share: float) -> Int64:
    """Return the rung [N] of each member: by its viewing days lately, or drawn."""
    by_activity = ranked_groups(population.simulation.log.by_member[:, EW4], count)
    seed, members = population.simulation.seed, population.members
    zeros = np.zeros(len(members), np.int64)
    stream = ExplorationStream.RANDOM_RUNGS
    coins = random_words(seed, stream, members, zeros, Domain.EXPLORATION) / 2**32
    drawn = random_words(seed, stream, members, zeros + 1, Domain.EXPLORATION) / 2**32
    return np.where(coins < random_share, (drawn * count).astype(np.int64), by_activity)


def _outcomes(population: Population, plan: Int32, weeks: int) -> Float64:
    """Return viewing days a week and whether the member stayed, [2, M], under one plan."""
    executor, viewing = default_executor(), np.zeros(population.num_members)
    target = np.tile(plan, (population.num_members, 1))
    for _ in range(weeks):
        week = executor.run_week(population, feasible_target(target, population.opted_in))
        viewing += week.viewing_days
    return np.stack([viewing / weeks, population.alive])


def _confounded(sends: Float64, rung: Int64, outcomes: Float64) -> Confounded:
    """Compare slopes; sends [R], rung [M], outcomes [R, M]."""
    logged = slope(sends[rung], outcomes[rung, np.arange(len(rung))])
    away = sends - sends.mean()
    caused = away @ outcomes / (away**2).sum()
    return Confounded(mean_interval(logged), mean_interval(caused), mean_interval(logged - caused))
