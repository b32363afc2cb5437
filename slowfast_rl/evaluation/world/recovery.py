"""Property 4: without messages fatigue decays, and the response to a send recovers."""

from collections.abc import Sequence
from math import log
from typing import NamedTuple

import numpy as np

from slowfast_rl.evaluation.protocol import EvaluationProtocol, burned_in
from slowfast_rl.evaluation.statistics import Interval, mean_interval
from slowfast_rl.evaluation.world.properties import share
from slowfast_rl.members.arrays import Float32, Float64, Int32
from slowfast_rl.members.population import Population
from slowfast_rl.members.world import World
from slowfast_rl.policies.simulate import constant_plan_weeks


class Recovery(NamedTuple):
    """Property 4: the effect of weeks without messages after weeks of the most frequent plan.

    A response is the number of causal opens per send in one probe week. Responses are keyed by the
    number of weeks without messages before the probe, and are those of members that are alive and
    opted in to all channels in both cases, with and without the pause.
    """

    fatigue: Float64  # [T + 1, C] effective sends by day, mean over members alive to the end
    half_life: list[float]  # [C] days, from a linear fit to log fatigue
    expected: list[float]  # [C] days, ln 2 times the world's decay_days
    rested: dict[int, Interval]  # responses after the pause
    unrested: dict[int, Interval]  # responses of their twins, who got messages throughout
    regained: dict[int, Interval]  # rested minus unrested, paired over members

    @property
    def halves_as_set(self) -> bool:
        """Whether the half-life of fatigue is that of the world's parameters, within .1 %."""
        return np.allclose(self.half_life, self.expected, rtol=1e-3)

    @property
    def response_returns(self) -> bool:
        """Whether every pause raises the response."""
        return all(gain.low > 0 for gain in self.regained.values())


def recovery(
    world: World,
    protocol: EvaluationProtocol,
    probe: Sequence[int],
    silences: Sequence[int] = (1, 2, 4, 8),
) -> Recovery:
    """Measure property 4.

    Args:
        world: the world.
        protocol: the evaluation protocol; in its weeks all members get the most frequent plan.
        probe: [C] the plan of the week in which the response is measured.
        silences: numbers of weeks without messages before such a week, in rising order.
    """
    most, n = world.plans.max(axis=0), protocol.num_members
    unrested = burned_in(world, protocol, protocol.streams[0])
    for _ in constant_plan_weeks(unrested, most, protocol.weeks):
        pass
    rested = unrested.clone()
    days = [rested.simulation.state.fatigue.copy()]
    responses: dict[int, tuple[Float64, Float64]] = {}
    for week in range(1, silences[-1] + 1):
        _response(unrested, most)
        for slot, following in zip(
            world.schedule, (*world.schedule[1:], world.schedule[0]), strict=True
        ):
            rested.step(np.zeros(n, np.int64))
            if slot.weekday != following.weekday:
                days.append(rested.simulation.state.fatigue.copy())
        if week in silences:
            reached = np.all(rested.opted_in & unrested.opted_in, axis=1) & unrested.alive
            reached &= rested.alive
            after, without = (_response(p.take(reached), probe) for p in (rested, unrested))
            responses[week] = after, without
    fatigue = np.stack(days)[:, rested.alive].mean(axis=1, dtype=np.float64)
    slope = np.polyfit(np.arange(len(fatigue)), np.log(fatigue), 1)[0]
    return Recovery(
        fatigue,
        (-log(2) / slope).tolist(),
        [log(2) * decay for decay in world.fatigue.decay_days],
        {week: mean_interval(after) for week, (after, _) in responses.items()},
        {week: mean_interval(without) for week, (_, without) in responses.items()},
        {week: mean_interval(after - without) for week, (after, without) in responses.items()},
    )


def _response(population: Population, plan: Sequence[int] | Int32) -> Float64:
    """Simulate one week under one plan; return causal opens per send as by :func:`share`, [N]."""
    (week,) = constant_plan_weeks(population, plan, 1)
    sends: Float32 = week.sends.sum(axis=1)
    return share(week.causal_opens, sends)
