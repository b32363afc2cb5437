"""Short against long horizons: the best plan of each, and when the far-sighted plan is ahead."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from slowfast_rl.evaluation.protocol import EvaluationProtocol, burned_in
from slowfast_rl.evaluation.statistics import Interval, mean_interval
from slowfast_rl.evaluation.world.sweeps import Sweep
from slowfast_rl.members.arrays import Float64
from slowfast_rl.members.world import World
from slowfast_rl.policies.simulate import constant_plan_weeks


class Tension(NamedTuple):
    """The best plans of two horizons, and the lead of each plan on its own horizon.

    Leads are in discounted viewing days, of members that were not used to choose the plans.
    """

    near: int  # weeks
    far: int
    near_plan: tuple[int, ...]  # chosen on all members
    far_plan: tuple[int, ...]
    near_lead: Interval  # of the near-sighted plan on the near horizon
    far_lead: Interval  # of the far-sighted plan on the far horizon

    @property
    def holds(self) -> bool:
        """Whether each plan leads on its own horizon and the near-sighted one sends more."""
        wins = self.near_lead.low > 0 and self.far_lead.low > 0
        return wins and sum(self.near_plan) > sum(self.far_plan)


def tension(result: Sweep, near: int, far: int) -> Tension:
    """Compare the best plans of two horizons of a sweep.

    Args:
        result: the sweep.
        near: weeks of the short horizon.
        far: weeks of the long horizon.
    """
    soon, late = result.returns[near], result.returns[far]
    leads, even = np.zeros((2, soon.shape[1])), np.arange(soon.shape[1]) % 2 == 0
    for half in (even, ~even):
        a, b = (int(returns[:, half].mean(axis=1).argmax()) for returns in (soon, late))
        leads[:, ~half] = np.stack([soon[a] - soon[b], late[b] - late[a]])[:, ~half]
    plans = [tuple(result.plans[int(r.mean(axis=1).argmax())].tolist()) for r in (soon, late)]
    near_lead, far_lead = (mean_interval(lead) for lead in leads)
    return Tension(near, far, plans[0], plans[1], near_lead, far_lead)


def cumulative_reward(world: World, protocol: EvaluationProtocol, plan: Sequence[int]) -> Float64:
    """Return each member's cumulative discounted reward under one plan, mean over lucks.

    Args:
        world: the world.
        protocol: the evaluation protocol.
        plan: [C] sends per week.

    Returns:
        [W, N] viewing days up to the end of each week.
    """
    discount = world.reward.weekly_discount
    rewards = np.zeros((protocol.weeks, protocol.num_members))
    for stream in protocol.streams:
        population = burned_in(world, protocol, stream)
        for number, week in enumerate(constant_plan_weeks(population, plan, protocol.weeks)):
            rewards[number] += discount**number * week.reward / len(protocol.streams)
    return np.asarray(np.cumsum(rewards, axis=0), np.float64)


class Overtaking(NamedTuple):
    """The number of weeks after which a far-sighted plan is ahead of a near-sighted one."""

    difference: list[Interval]  # [W] cumulative reward, far minus near, paired over members

    @property
    def week(self) -> int | None:
        """The number of weeks after which the far-sighted plan stays ahead; None if it does not."""
        return _stays_ahead_from([d.mean > 0 for d in self.difference])

    @property
    def earliest(self) -> int | None:
        """The same by the upper ends of the intervals: a lower bound of ``week``."""
        return _stays_ahead_from([d.high > 0 for d in self.difference])

    @property
    def latest(self) -> int | None:
        """The same by the lower ends of the intervals: an upper bound of ``week``."""
        return _stays_ahead_from([d.low > 0 for d in self.difference])


def overtaking(far: Float64, near: Float64) -> Overtaking:
    """Compare the cumulative rewards of two plans.

    Args:
        far: [W, N] rewards under the far-sighted plan.
        near: [W, N] rewards under the near-sighted plan, of the same members and lucks.
    """
    return Overtaking([mean_interval(week) for week in far - near])


def _stays_ahead_from(ahead: list[bool]) -> int | None:
    """Return the first week, counted from 1, from which all values are True, or None."""
    behind = [week for week, is_ahead in enumerate(ahead, 1) if not is_ahead]
    first = behind[-1] + 1 if behind else 1
    return first if first <= len(ahead) else None
