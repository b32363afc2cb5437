"""Measurements of the properties that a world should have, and whether they hold.

Where a plan is chosen, it is chosen on one half of the members and its lead is measured on the
other half, and vice versa, so that the interval does not profit from the choice.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from slowfast_rl.evaluation.protocol import EvaluationProtocol
from slowfast_rl.evaluation.statistics import (
    Interval,
    mean_interval,
    quantile_groups,
    ratio_interval,
)
from slowfast_rl.evaluation.world.sweeps import Sweep, sweep
from slowfast_rl.members.arrays import Bool, Float32, Float64
from slowfast_rl.members.world import World


class Frequency(NamedTuple):
    """Property 1: the effect of frequency on opens and opt-outs, by plan and channel.

    A step is the difference between two successive plans, on a channel whose frequency rises.
    """

    open_rate: list[list[Interval]]  # [P][C] logged opens per send
    left: list[list[Interval]]  # [P][C] share of opted-in members that left at least once
    open_rate_steps: list[Interval]
    left_steps: list[Interval]

    @property
    def holds(self) -> bool:
        """Whether the open rate falls and the share that left rises at every step."""
        falls = all(step.high < 0 for step in self.open_rate_steps)
        return falls and all(step.low > 0 for step in self.left_steps)


def frequency(result: Sweep, plans: Sequence[Sequence[int]]) -> Frequency:
    """Measure property 1.

    Args:
        result: a sweep.
        plans: [P, C] some of its plans, from rare to frequent.
    """
    channels, rows = range(result.plans.shape[1]), [result.row(plan) for plan in plans]
    opens = [[share(result.opens[p, :, c], result.sends[p, :, c]) for c in channels] for p in rows]
    left = [[share(result.left[p, :, c], result.opted_in[:, c]) for c in channels] for p in rows]
    rises = np.argwhere(np.diff(result.plans[rows], axis=0) > 0)
    return Frequency(
        [[mean_interval(values) for values in row] for row in opens],
        [[mean_interval(values) for values in row] for row in left],
        [mean_interval(opens[p + 1][c] - opens[p][c]) for p, c in rises],
        [mean_interval(left[p + 1][c] - left[p][c]) for p, c in rises],
    )


class Best(NamedTuple):
    """The best constant plan of a horizon, and its leads in discounted viewing days."""

    horizon: int  # weeks
    plan: tuple[int, ...]
    is_maximum: bool  # whether it is the most frequent plan of the menu
    over_never: Interval
    over_maximum: Interval
    next_plan: tuple[int, ...]  # the second-best plan
    over_next: Interval  # both plans chosen on all members

    @property
    def interior(self) -> bool:
        """Whether the best plan leads both no messages and the most frequent plan."""
        return self.over_never.low > 0 and self.over_maximum.low > 0


def best_plan(result: Sweep, horizon: int) -> Best:
    """Measure property 2 at one horizon.

    Args:
        result: a sweep that includes the plan without messages and the most frequent plan.
        horizon: number of weeks of the return.
    """
    returns = result.returns[horizon]
    order = np.argsort(-returns.mean(axis=1), kind="stable")
    sends = result.plans.sum(axis=1)
    everyone = np.ones(returns.shape[1], bool)
    return Best(
        horizon,
        tuple(result.plans[order[0]].tolist()),
        bool(order[0] == sends.argmax()),
        lead(returns, everyone, int(sends.argmin())),
        lead(returns, everyone, int(sends.argmax())),
        tuple(result.plans[order[1]].tolist()),
        mean_interval(returns[order[0]] - returns[order[1]]),
    )


def crossover(result: Sweep) -> int | None:
    """Return the horizon in weeks from which the most frequent plan is no longer best.

    Returns:
        The horizon; None if the most frequent plan is best at the sweep's last week.
    """
    maximum = int(result.plans.sum(axis=1).argmax())
    is_best = np.flatnonzero(result.curve.argmax(axis=0) == maximum)
    first = 1 if not len(is_best) else int(is_best[-1]) + 2
    return first if first <= result.curve.shape[1] else None


class Groups(NamedTuple):
    """Property 3 for one trait: the best plan and the response in each quintile of members."""

    plans: list[tuple[int, ...]]  # [5] from the lowest quintile to the highest
    responses: list[Interval]  # [5] causal opens per send under the lightest plan
    low_lead: Interval  # lowest quintile: its best plan over that of the highest
    high_lead: Interval  # highest quintile: its best plan over that of the lowest

    @property
    def differs(self) -> bool:
        """Whether the lowest and the highest quintile each lose under the other's best plan."""
        return self.low_lead.low > 0 and self.high_lead.low > 0

    @property
    def lowest_responds_least(self) -> bool:
        """Whether the response per send is lowest in the lowest quintile."""
        return all(self.responses[0].high < other.low for other in self.responses[1:])


def by_fifth(result: Sweep, trait: Float32, horizon: int, light: Sequence[int]) -> Groups:
    """Measure property 3 for one trait [N].

    Args:
        result: a sweep of the whole menu.
        trait: [N] the trait by which members are grouped.
        horizon: number of weeks of the return.
        light: [C] the plan under which the response per send is measured.
    """
    returns, row = result.returns[horizon], result.row(light)
    fifth = quantile_groups(trait, 5)
    groups = [fifth == number for number in range(5)]
    sends = result.sends[row].sum(axis=1)
    return Groups(
        [tuple(result.plans[_best(returns, g)].tolist()) for g in groups],
        [mean_interval(share(result.responses[row][g], sends[g])) for g in groups],
        lead(returns, groups[0], groups[-1]),
        lead(returns, groups[-1], groups[0]),
    )


class Channel(NamedTuple):
    """Property 3 for one channel, without messages on the others."""

    sends: int  # best number of sends per week
    over_never: Interval
    over_others: dict[int, Interval]  # lead over the best frequencies of the other channels

    @property
    def differs(self) -> bool:
        """Whether the best frequency of every other channel is worse on this one."""
        return bool(self.over_others) and all(o.low > 0 for o in self.over_others.values())


def by_channel(result: Sweep, horizon: int) -> list[Channel]:
    """Return the best frequency on each channel alone, [C], from a sweep of the whole menu."""
    everyone = np.ones(result.returns[horizon].shape[1], bool)
    alone = []  # per channel: its frequencies [F] and their returns [F, N]
    for c in range(result.plans.shape[1]):
        rows = np.delete(result.plans, c, axis=1).sum(axis=1) == 0
        alone.append((result.plans[rows, c].tolist(), result.returns[horizon][rows]))
    best = [sends[_best(returns, everyone)] for sends, returns in alone]
    return [
        Channel(
            best[c],
            lead(returns, everyone, sends.index(0)),
            {
                other: lead(returns, everyone, sends.index(other))
                for d, other in enumerate(best)
                if d != c and other in sends
            },
        )
        for c, (sends, returns) in enumerate(alone)
    ]


class Gap(NamedTuple):
    """The gain of personal constant plans, chosen under other lucks, over the best fixed plan."""

    best_fixed: tuple[int, ...]
    gain: Interval  # discounted viewing days, under the scoring lucks
    relative: Interval | None  # the gain divided by the best fixed plan's return

    @property
    def exists(self) -> bool:
        """Whether the interval of the gain lies above 0."""
        return self.gain.low > 0


def personal_gap(chosen: Sweep, scored: Sweep, horizon: int) -> Gap:
    """Measure the oracle's lead over the best fixed plan.

    Args:
        chosen: the sweep by which the best fixed plan and the personal plans are chosen.
        scored: a sweep of the same members and plans under other lucks, by which they are scored.
        horizon: number of weeks of the return.
    """
    choosing, scoring = chosen.returns[horizon], scored.returns[horizon]
    fixed = int(choosing.mean(axis=1).argmax())
    own = np.take_along_axis(scoring, choosing.argmax(axis=0)[None], axis=0)[0]
    gain = own - scoring[fixed]
    return Gap(
        tuple(chosen.plans[fixed].tolist()),
        mean_interval(gain),
        ratio_interval(gain, scoring[fixed]),
    )


class Hazard(NamedTuple):
    """The return of the most frequent plan for several factors of the opt-out hazard."""

    factors: tuple[float, ...]
    returns: list[Interval]
    steps: list[Interval]  # from one factor to the next, paired over members

    @property
    def holds(self) -> bool:
        """Whether the return falls at every step."""
        return all(step.high < 0 for step in self.steps)


def always_send_by_hazard(
    world: World, protocol: EvaluationProtocol, factors: tuple[float, ...] = (0.5, 1, 2)
) -> Hazard:
    """Measure the return of the most frequent plan under several opt-out hazards.

    Args:
        world: the world.
        protocol: the evaluation protocol; its burn-in has the changed hazard too.
        factors: factors of the world's opt-out hazard.
    """
    always = world.plans.max(axis=0)[None]
    returns = []
    for factor in factors:
        hazard = tuple(factor * h for h in world.opt_out.hazard)
        other = replace(world, opt_out=replace(world.opt_out, hazard=hazard))
        returns.append(sweep(other, protocol, always).returns[protocol.weeks][0])
    steps = [mean_interval(b - a) for a, b in pairwise(returns)]
    return Hazard(factors, [mean_interval(values) for values in returns], steps)


def share(numerator: Float64 | Float32, denominator: Float64 | Float32) -> Float64:
    """Return values [N] whose mean is mean(numerator) / mean(denominator).

    Their variance gives that of the ratio (delta method), so that the intervals of means apply to
    ratios and their paired differences.
    """
    top, bottom = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    ratio = top.mean() / bottom.mean()
    return np.asarray(ratio + (top - ratio * bottom) / bottom.mean(), np.float64)


def lead(returns: Float64, own: Bool, other: Bool | int) -> Interval:
    """Return the lead of a group's best plan over another plan, within the group.

    Args:
        returns: [P, N] return of each member under each plan.
        own: [N] mask of the group; its plan is chosen on one half of it and measured on the other.
        other: [N] mask of the group whose best plan is the other plan, or the row of that plan.
    """
    values = np.zeros(returns.shape[1])
    even = np.arange(len(values)) % 2 == 0
    for half in (even, ~even):
        rival = other if isinstance(other, int) else _best(returns, other & half)
        values[~half] = (returns[_best(returns, own & half)] - returns[rival])[~half]
    return mean_interval(values[own])


def _best(returns: Float64, members: Bool) -> int:
    """Return the row of the plan with the highest mean return of some members."""
    return int(returns[:, members].mean(axis=1).argmax())
