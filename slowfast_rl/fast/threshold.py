"""A pacer that sends every candidate whose score reaches one global threshold."""

from dataclasses import dataclass

import numpy as np

from slowfast_rl.members.arrays import Float32, Int32
from slowfast_rl.members.block_policy import vectorised
from slowfast_rl.members.compile import driver
from slowfast_rl.members.numerics import ONE
from slowfast_rl.members.opportunity import PACER_SIGNATURE, Opportunity, PacerFunction
from slowfast_rl.members.world import World
from slowfast_rl.policies.contracts import BasePacer
from slowfast_rl.policies.registry import register
from slowfast_rl.policies.settings import Settings, setting


@vectorised
@driver(PACER_SIGNATURE)
def threshold_pace(
    opportunity: Opportunity, plan_rows: Int32, pacing: Float32
) -> tuple[float, np.float32, np.float32]:
    """Return the threshold as the least score worth a send, if the member is opted in."""
    return float(pacing[0]), np.float32(opportunity.opted_in), ONE


@dataclass(frozen=True, kw_only=True)
class ThresholdSettings(Settings):
    """Settings of :class:`ThresholdPacer`."""

    threshold: float = setting(0.0, "in the ranker's units; for uplift, a probability difference")


@register
class ThresholdPacer(BasePacer):
    """Sends a candidate if its score reaches one global threshold, whatever the target is."""

    name = "threshold"
    thread_safe = True
    Settings = ThresholdSettings
    settings: ThresholdSettings

    @property
    def function(self) -> PacerFunction:
        """The jitted pacer."""
        return threshold_pace

    def pacing(self, world: World, weights: Float32 | None = None) -> Float32:
        """Return the threshold, which does not depend on the world or on day weights."""
        return np.array([self.settings.threshold], np.float32)
