"""Options of any length as single transitions (Sutton, Precup & Singh 1999)."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def option_target(
    rewards: ArrayLike, discount: float, next_value: ArrayLike, terminated: ArrayLike
) -> NDArray[Any]:
    """Return what an option was worth: sum over i < k of discount^i r_i, then discount^k V, [...].

    Needed where options differ in length. Weekly options do not: their reward is the week's
    undiscounted sum, and one discount a week serves (.98).

    Args:
        rewards: [..., k] rewards of the option's k steps.
        discount: per step, 0 to 1.
        next_value: [...] value where the option ended; a time limit does not change it.
        terminated: [...] whether life ended there, so that no value follows.

    Raises:
        ValueError: the discount is outside 0 to 1.
    """
    if not 0 <= discount <= 1:
        raise ValueError(f"discount is {discount}; allowed is 0 to 1")
    steps = np.asarray(rewards, np.float64)
    num_steps = steps.shape[-1]
    after = np.where(terminated, 0, next_value) * discount**num_steps
    return np.asarray(steps @ discount ** np.arange(num_steps) + after)
