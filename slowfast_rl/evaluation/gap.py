"""The possible gain of personal plans: the oracle's lead over the best fixed plan, by sweeps."""

from typing import NamedTuple

import numpy as np

from slowfast_rl.evaluation.statistics import Interval, mean_interval, ratio_interval
from slowfast_rl.evaluation.world.sweeps import Sweep


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
