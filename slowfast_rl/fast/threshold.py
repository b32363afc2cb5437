"""The global threshold: send whatever scores enough, whenever it comes."""

from math import isfinite
from typing import Any

import numpy as np

from slowfast_rl.members.arrays import Float32, Int32
from slowfast_rl.members.compile import driver
from slowfast_rl.members.numerics import ONE
from slowfast_rl.members.opportunity import PACER_SIGNATURE, Opportunity
from slowfast_rl.members.world import World


@driver(PACER_SIGNATURE)
def threshold_pace(
    opportunity: Opportunity, rows: Int32, pacing: Float32
) -> tuple[float, np.float32, np.float32]:
    """Return the same threshold at every opportunity on a channel that the member has not left."""
    return float(pacing[0]), np.float32(opportunity.opted_in), ONE


class ThresholdPacer:
    """Accepts a candidate when its score reaches one global threshold; knows no target.

    Args:
        threshold: in the ranker's units, for the uplift ranker a difference in probability.

    Raises:
        ValueError: the threshold is no finite number.
    """

    name = "threshold"
    function = staticmethod(threshold_pace)

    def __init__(self, threshold: float = 0.0) -> None:
        number = isinstance(threshold, int | float) and not isinstance(threshold, bool)
        if not (number and isfinite(threshold)):
            raise ValueError(f"threshold is {threshold!r}; allowed is a finite number")
        self.threshold = float(threshold)

    def pacing(self, world: World, weights: Float32 | None = None) -> Float32:
        """Return the jitted pacer's parameter; it knows no world and no day weights."""
        return np.array([self.threshold], np.float32)

    def state(self) -> dict[str, Any]:
        """Return what JSON must hold of the pacer."""
        return {"threshold": self.threshold}
