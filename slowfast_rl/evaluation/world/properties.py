"""Properties that a world should show, measured; each result says whether its property holds.

Plans are chosen on one half of the members and their lead is measured on the other half, both ways
round, so that an interval does not reward the choice that happened to be lucky.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from slowfast_rl.evaluation.protocol import EvaluationProtocol
from slowfast_rl.evaluation.statistics import Interval, mean_interval
from slowfast_rl.evaluation.world.sweeps import Sweep, quintiles, sweep
from slowfast_rl.members.arrays import Bool, Float32, Float64
from slowfast_rl.members.world import World


class Frequency(NamedTuple):
    """Property 1: what plans do to opens and opt-outs, per plan and channel.

    Steps compare neighbouring plans, on the channels whose frequency rises between them.
    """

    open_rate: list[list[Interval]]  # [P][C] logged opens per send
    left: list[list[Interval]]  # [P][C] share of the opted-in that left at least once
    open_rate_steps: list[Interval]
    left_steps: list[Interval]

    @property
    def holds(self) -> bool:
        """Whether the open rate falls and cumulative opt-out rises, at every step."""
        falls = all(step.high < 0 for step in self.open_rate_steps)
        return falls and all(step.low > 0 for step in self.left_steps)


def frequency(lived: Sweep, plans: Sequence[Sequence[int]]) -> Frequency:
    """Measure property 1 on some of a sweep's plans, from rare to frequent."""
    channels, rows = range(lived.plans.shape[1]), [lived.row(plan) for plan in plans]
    opens = [[share(lived.opens[p, :, c], lived.sends[p, :, c]) for c in channels] for p in rows]
    left = [[share(lived.left[p, :, c], lived.opted_in[:, c]) for c in channels] for p in rows]
    rises = np.argwhere(np.diff(lived.plans[rows], axis=0) > 0)
    return Frequency(
        [[mean_interval(values) for values in row] for row in opens],
        [[mean_interval(values) for values in row] for row in left],
        [mean_interval(opens[p + 1][c] - opens[p][c]) for p, c in rises],
        [mean_interval(left[p + 1][c] - left[p][c]) for p, c in rises],
    )


class Best(NamedTuple):
    """The best constant plan over a horizon, and its lead in discounted viewing days."""

    horizon: int  # weeks
    plan: tuple[int, ...]
    is_maximum: bool  # the menu's most frequent plan
    over_never: Interval
    over_maximum: Interval
    next_plan: tuple[int, ...]  # the second best
    over_next: Interval  # both chosen on all members

    @property
    def interior(self) -> bool:
        """Whether the best plan lies between never and the maximum."""
        return self.over_never.low > 0 and self.over_maximum.low > 0


def best_plan(lived: Sweep, horizon: int) -> Best:
    """Measure property 2 at one horizon; the sweep holds never and the maximum."""
    returns = lived.returns[horizon]
    order = np.argsort(-returns.mean(axis=1), kind="stable")
    sends = lived.plans.sum(axis=1)
    everyone = np.ones(returns.shape[1], bool)
    return Best(
        horizon,
        tuple(lived.plans[order[0]].tolist()),
        bool(order[0] == sends.argmax()),
        lead(returns, everyone, int(sends.argmin())),
        lead(returns, everyone, int(sends.argmax())),
        tuple(lived.plans[order[1]].tolist()),
        mean_interval(returns[order[0]] - returns[order[1]]),
    )


def crossover(lived: Sweep) -> int | None:
    """Return the horizon (weeks) from which on the maximum is no longer best; None if never."""
    maximum = int(lived.plans.sum(axis=1).argmax())
    is_best = np.flatnonzero(lived.curve.argmax(axis=0) == maximum)
    first = 1 if not len(is_best) else int(is_best[-1]) + 2
    return first if first <= lived.curve.shape[1] else None


class Groups(NamedTuple):
    """Property 3 for one trait: the best plan and the response in each fifth of the members."""

    plans: list[tuple[int, ...]]  # [5] from the lowest fifth to the highest
    responses: list[Interval]  # [5] causal opens per send under the lightest plan
    low_lead: Interval  # in the lowest fifth: its own best plan over the highest fifth's
    high_lead: Interval  # in the highest fifth: its own best plan over the lowest fifth's

    @property
    def differs(self) -> bool:
        """Whether the lowest and the highest fifth each lose under the other's best plan."""
        return self.low_lead.low > 0 and self.high_lead.low > 0

    @property
    def lowest_responds_least(self) -> bool:
        """Whether response per send is lowest in the lowest fifth."""
        return all(self.responses[0].high < other.low for other in self.responses[1:])


def by_fifth(lived: Sweep, trait: Float32, horizon: int, light: Sequence[int]) -> Groups:
    """Measure property 3 for one trait [N].

    Args:
        lived: a sweep of the whole menu.
        trait: [N] by which members are grouped.
        horizon: weeks of the return.
        light: the plan under which response per send is measured.
    """
    returns, row = lived.returns[horizon], lived.row(light)
    groups = quintiles(trait)
    sends = lived.sends[row].sum(axis=1)
    return Groups(
        [tuple(lived.plans[_best(returns, g)].tolist()) for g in groups],
        [mean_interval(share(lived.responses[row][g], sends[g])) for g in groups],
        lead(returns, groups[0], groups[-1]),
        lead(returns, groups[-1], groups[0]),
    )


class Channel(NamedTuple):
    """Property 3 for one channel, the others silent."""

    sends: int  # best frequency a week
    over_never: Interval
    over_others: dict[int, Interval]  # over the best frequencies of other channels

    @property
    def differs(self) -> bool:
        """Whether the best frequencies of all other channels do worse on this one."""
        return bool(self.over_others) and all(o.low > 0 for o in self.over_others.values())


def by_channel(lived: Sweep, horizon: int) -> list[Channel]:
    """Return the best frequency on each channel alone, [C]; the sweep holds the whole menu."""
    everyone = np.ones(lived.returns[horizon].shape[1], bool)
    alone = []  # per channel: its frequencies [F] and their returns [F, N]
    for c in range(lived.plans.shape[1]):
        rows = np.delete(lived.plans, c, axis=1).sum(axis=1) == 0
        alone.append((lived.plans[rows, c].tolist(), lived.returns[horizon][rows]))
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


class Hazard(NamedTuple):
    """The return of always-send as the opt-out hazard goes times 1/2, 1, 2."""

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
    """Measure always-send in worlds that differ in the opt-out hazard alone, burn-in included."""
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

    Their spread is the ratio's (delta method), so that intervals and paired differences of ratios
    are those of means.
    """
    top, bottom = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    ratio = top.mean() / bottom.mean()
    return np.asarray(ratio + (top - ratio * bottom) / bottom.mean(), np.float64)


def lead(returns: Float64, own: Bool, other: Bool | int) -> Interval:
    """Return by how much a group's best plan leads another plan, within the group.

    Args:
        returns: [P, N].
        own: [N] the group; its plan is chosen on one half of it and measured on the other.
        other: [N] the group whose best plan it is compared with, or the row of a plan.
    """
    values = np.zeros(returns.shape[1])
    even = np.arange(len(values)) % 2 == 0
    for half in (even, ~even):
        rival = other if isinstance(other, int) else _best(returns, other & half)
        values[~half] = (returns[_best(returns, own & half)] - returns[rival])[~half]
    return mean_interval(values[own])


def _best(returns: Float64, members: Bool) -> int:
    return int(returns[:, members].mean(axis=1).argmax())
