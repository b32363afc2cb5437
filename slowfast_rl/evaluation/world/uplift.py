"""Property 6: members who open most are not those whose viewing messages raise most.

Heavy viewers open messages about titles that they would have watched anyway. Members are scored by
the opens per send in their log, and by the uplift of their branches: viewing days with sends minus
those without, under the same luck. Members are ranked under one half of the lucks and measured
under the other half, so that the ranking does not profit from the luck it was made with.
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
from slowfast_rl.policies.simulate import constant_plan_weeks


class Ranking(NamedTuple):
    """Property 6, by terciles of the base rate: casual, regular, heavy; uplift in viewing days."""

    open_rate: list[Interval]  # [3] logged opens per send, before the measurement
    uplift: list[Interval]  # [3] of the plan over the protocol's weeks
    over_credit: Interval | None  # heavy: open rate / overall mean, minus uplift / overall mean
    by_open_rate: Interval  # heavy: mean uplift of the half with the higher open rates
    by_uplift: Interval  # heavy: mean uplift of the half with the higher estimated uplift
    lost: Interval  # by_uplift minus by_open_rate, paired over members
    shared: float  # heavy: share of the better half by uplift that is in the one by open rate

    @property
    def holds(self) -> bool:
        """Whether open rates overstate the uplift of heavy viewers and rank them wrongly."""
        return self.over_credit is not None and self.over_credit.low > 0 and self.lost.low > 0


def ranking(world: World, protocol: EvaluationProtocol, plan: Sequence[int]) -> Ranking:
    """Measure property 6 on members that are alive and received a message in the burn-in.

    Args:
        world: the world.
        protocol: the evaluation protocol. Its burn-in must be long enough to log open rates; in its
            weeks members get the plan or no messages; uplift is averaged over its lucks.
        plan: [C] sends per week.

    Raises:
        ValueError: the protocol has fewer than two lucks.
    """
    if len(protocol.streams) < 2:
        raise ValueError(f"streams is {protocol.streams}; allowed is 2 or more of them")
    start = burned_in(world, protocol, protocol.streams[0])
    log = start.simulation.log.by_channel.astype(np.float64)
    sends, opens = (log[:, :, [LIGHT + k, HEAVY + k]].sum(axis=(1, 2)) for k in (0, 1))
    eligible = np.flatnonzero(start.alive & (sends > 0) & start.opted_in.any(axis=1))
    start, rate = start.take(eligible), (opens / np.maximum(sends, 1))[eligible]
    gains = np.stack([_uplift(start, protocol.weeks, plan, s) for s in protocol.streams])
    middle = len(gains) // 2
    estimate, truth = gains[:middle].mean(axis=0), gains[middle:].mean(axis=0)
    segment = ranked_groups(start.simulation.traits.base_rate, 3)
    groups = [segment == s for s in range(3)]
    heavy = groups[2]
    gains_something = mean_interval(truth).low > 0  # else the ratio is meaningless
    over_credit = _index(rate, heavy) - _index(truth, heavy) if gains_something else None
    better_open, better_gain = (ranked_groups(v[heavy], 2) == 1 for v in (rate, estimate))
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
    """Return the expected viewing days that a plan adds to no messages, under one luck, [M]."""
    views = []
    for sends in (plan, [0] * len(plan)):
        twin = start.clone()
        twin.simulation.state.stream[:] = stream
        total = np.zeros(twin.num_members)
        for week in constant_plan_weeks(twin, sends, weeks):
            total += week.views
        views.append(total)
    return np.asarray(views[0] - views[1], np.float64)


def _index(values: Float64, group: Bool) -> Float64:
    """Return values [M] whose mean is mean(values in the group) / mean(values).

    Their variance gives that of the ratio (delta method).
    """
    inside = group / group.mean()
    overall = values.mean()
    ratio = float((inside * values).mean() / overall)
    within = values[group].mean()
    deviation = inside * (values - within) / overall - ratio * (values - overall) / overall
    return np.asarray(ratio + deviation, np.float64)
