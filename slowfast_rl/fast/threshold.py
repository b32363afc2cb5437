"""The global threshold: send whatever scores enough, whenever it comes."""

from math import isfinite
from typing import Any

import numpy as np

from slowfast_rl.envs.guard import guarded
from slowfast_rl.members.arrays import Float32, Float64, Int32, Int64
from slowfast_rl.members.compile import driver
from slowfast_rl.members.opportunity import (
    ASK_SIGNATURE,
    PACER_SIGNATURE,
    Opportunity,
    seen_chance,
)
from slowfast_rl.members.world import World


@driver(PACER_SIGNATURE)
def threshold_pace(chance: Opportunity, rows: Int32, pacing: Float32) -> float:
    """Return the same threshold at every opportunity on a channel that the member has not left."""
    if chance.opted_in == 0:
        return np.inf
    return float(pacing[0])


@driver(ASK_SIGNATURE)
def ask_threshold(
    chances: Int64,
    rows: Int32,
    pacing: Float32,
    seed: int,
    slots: int,
    least: Float64,
    odds: Float64,
) -> None:
    """Fill in what :func:`threshold_pace` and the guard say of opportunities, for certain."""
    for i in range(least.shape[0]):
        chance = seen_chance(chances[i], i, seed, slots)
        score = float(pacing[0]) if guarded(chance, rows) else np.inf
        least[i], odds[i] = score, 1.0


class ThresholdPacer:
    """Accepts a candidate when its score reaches one global threshold; knows no target.

    Args:
        threshold: in the ranker's units, for the uplift ranker a difference in probability.

    Raises:
        ValueError: the threshold is no finite number.
    """

    name = "threshold"
    ask = staticmethod(ask_threshold)
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
