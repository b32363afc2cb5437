"""Property 6: who opens is not who gains; heavy viewers open what they would have watched anyway.

Members are scored by the opens per send in their log, and by the uplift of their branches: viewing
days with sends minus those without, under the same luck. One half of the lucks ranks, the other
half measures, so that a ranking is not rewarded for the luck that it has seen.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from slowfast_rl.evaluation.protocol import EvaluationProtocol, burned_in
from slowfast_rl.evaluation.statistics import Interval, mean_interval, ranked_groups
from slowfast_rl.members.arrays import Bool, Float64
from slowfast_rl.members.population import Population
from slowfast_rl.members.state import HEAVY, LIGHT
from slowfast_rl.members.world import World
from slowfast_rl.policies.executor import default_executor
from slowfast_rl.policies.guard import feasible_target


class Ranking(NamedTuple):
    """Property 6, by thirds of the base rate: casual, regular, heavy; uplift in viewing days."""

    open_rate: list[Interval]  # [3] logged opens per send before the measurement
    uplift: list[Interval]  # [3] of ``weeks`` weeks of the plan
    over_credit: Interval | None  # heavy: open rate over the mean's, minus uplift likewise
    by_open_rate: Interval  # heavy: uplift per member of the half with the higher open rates
    by_uplift: Interval  # heavy: the same of the half with the higher uplift
    lost: Interval  # the latter minus the former, paired over members
    shared: float  # heavy: share of the better half by one ranking that the other finds as well

    @property
    def holds(self) -> bool:
        """Whether open rate over-credits heavy viewers and picks the wrong ones among them."""
        return self.over_credit is not None and self.over_credit.low > 0 and self.lost.low > 0


def ranking(world: World, protocol: EvaluationProtocol, plan: Sequence[int]) -> Ranking:
    """Measure property 6 on members that are alive and were sent something in the burn-in.

    Args:
        world: the world.
        protocol: who; a burn-in long enough to log open rates; for how many weeks members get the
            plan or nothing; over how many lucks uplift is averaged, at least two.
        plan: [C] sends a week.

    Raises:
        ValueError: fewer than two lucks.
    """
    if len(protocol.streams) < 2:
        raise ValueError(f"streams is {protocol.streams}; allowed is 2 or more of them")
    start = burned_in(world, protocol, protocol.streams[0])
    log = start.simulation.log.by_channel.astype(np.float64)
    sends, opens = (log[:, :, [LIGHT + k, HEAVY + k]].sum(axis=(1, 2)) for k in (0, 1))
    known = np.flatnonzero(start.alive & (sends > 0) & start.opted_in.any(axis=1))
    start, rate = start.take(known), (opens / np.maximum(sends, 1))[known]
    gains = np.stack([_uplift(start, protocol.weeks, plan, s) for s in protocol.streams])
    middle = len(gains) // 2
    guess, truth = gains[:middle].mean(axis=0), gains[middle:].mean(axis=0)
    segment = ranked_groups(start.simulation.traits.base_rate, 3)
    groups = [segment == s for s in range(3)]
    heavy = groups[2]
    gains_something = mean_interval(truth).low > 0  # a share of nothing means nothing
    over_credit = _index(rate, heavy) - _index(truth, heavy) if gains_something else None
    better_open, better_gain = (ranked_groups(v[heavy], 2) == 1 for v in (rate, guess))
    gain = truth[heavy]
    picked = [half / half.mean() * gain for half in (better_open, better_gain)]
    return Ranking(
        [mean_interval(rate[g]) for g in groups],
        [mean_interval(truth[g]) for g in groups],
        None if over_credit is None else mean_interval(over_credit),
        mean_interval(picked[0]),
        mean_interval(picked[1]),
        mean_interval(picked[1] - picked[0]),
        float((better_open & better_gain).sum() / better_gain.sum()),
    )


def _uplift(start: Population, weeks: int, plan: Sequence[int], stream: int) -> Float64:
    """Return viewing days [M] that a plan adds to silence under one luck, by expectation."""
    executor, views = default_executor(), []
    for sends in (plan, [0] * len(plan)):
        twin = start.clone()
        twin.simulation.state.stream[:] = stream
        target = np.tile(np.array(sends, np.int32), (twin.num_members, 1))
        total = np.zeros(twin.num_members)
        for _ in range(weeks):
            total += executor.run_week(twin, feasible_target(target, twin.opted_in)).views
        views.append(total)
    return np.asarray(views[0] - views[1], np.float64)


def _index(values: Float64, group: Bool) -> Float64:
    """Return values [M] whose mean is mean(values in the group) / mean(values), by delta method."""
    inside = group / group.mean()
    overall = values.mean()
    ratio = float((inside * values).mean() / overall)
    within = values[group].mean()
    spread = inside * (values - within) / overall - ratio * (values - overall) / overall
    return np.asarray(ratio + spread, np.float64)
