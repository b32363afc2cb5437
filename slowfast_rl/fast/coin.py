"""The published pacer: the same probability of a send at each opportunity of a channel."""

import numpy as np

from slowfast_rl.members.arrays import Float32, Int32
from slowfast_rl.members.block_policy import vectorised
from slowfast_rl.members.compile import driver
from slowfast_rl.members.numerics import ONE
from slowfast_rl.members.opportunity import PACER_SIGNATURE, Opportunity, PacerFunction
from slowfast_rl.members.world import World
from slowfast_rl.policies.contracts import BasePacer
from slowfast_rl.policies.day_weights import pacing_parameters, weighed_slots
from slowfast_rl.policies.guard import cap_of, target_of
from slowfast_rl.policies.registry import register


@vectorised
@driver(PACER_SIGNATURE)
def coin_pace(
    opportunity: Opportunity, plan_rows: Int32, pacing: Float32
) -> tuple[float, np.float32, np.float32]:
    """Consider a send with probability target / the channel's slots a week, up to the cap.

    ``pacing`` is S, the slots per week [C], and the numbers of :func:`pacing_parameters`.
    """
    target = target_of(plan_rows, opportunity.row, opportunity.channel)
    full = opportunity.sent >= cap_of(plan_rows, opportunity.row, opportunity.channel)
    if target <= 0 or full or opportunity.opted_in == 0:
        return -np.inf, np.float32(0), ONE
    in_week = np.int64(pacing[1 + opportunity.channel])
    first = 1 + plan_rows.shape[1] // 2
    return -np.inf, np.float32(target), weighed_slots(opportunity, pacing, first, in_week)


@register
class CoinPacer(BasePacer):
    """Turns a plan's target into one probability per opportunity, as the published system does.

    The decisions are independent, so that the number of sends varies around the target. Because the
    cap limits it, its mean is below the target if the cap equals the target. A pacing shape
    multiplies the probability at a day's slots by the day's weight relative to the mean weight.
    """

    name = "coin"
    thread_safe = True

    @property
    def function(self) -> PacerFunction:
        """The jitted pacer."""
        return coin_pace

    def pacing(self, world: World, weights: Float32 | None = None) -> Float32:
        """Return the jitted pacer's parameters; see :meth:`BasePacer.pacing`."""
        channels = [slot.channel for slot in world.schedule]
        in_week = np.bincount(channels, minlength=len(world.channels)).astype(np.float32)
        return pacing_parameters(world, in_week, weights, whole_week=True)
