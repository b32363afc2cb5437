"""What there is to personalise: the oracle's lead over the best plan for all, from two sweeps."""

from typing import NamedTuple

import numpy as np

from slowfast_rl.evaluation.statistics import Interval, mean_interval, ratio_interval
from slowfast_rl.evaluation.world.sweeps import Sweep


class Gap(NamedTuple):
    """What personal constant plans, chosen on other lucks, add to the best plan for all."""

    best_fixed: tuple[int, ...]
    gain: Interval  # in discounted viewing days, on the scoring lucks
    relative: Interval | None  # of the best fixed plan's return

    @property
    def exists(self) -> bool:
        """Whether personal plans do better."""
        return self.gain.low > 0


def personal_gap(chosen: Sweep, scored: Sweep, horizon: int) -> Gap:
    """Measure the oracle's lead over the best fixed plan.

    Args:
        chosen: a sweep under the lucks that choose, both the one plan and the personal ones.
        scored: the same members and plans under other lucks.
        horizon: weeks of the return.
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
