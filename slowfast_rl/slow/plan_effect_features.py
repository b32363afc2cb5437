"""Terms of a linear model: the logged features, and rates and shares computed from them."""

import numpy as np

from slowfast_rl.members.arrays import Float32
from slowfast_rl.members.features import PRIOR_EVENTS, PRIOR_SENDS
from slowfast_rl.members.world import World
from slowfast_rl.policies.columns import columns

_SHORT, _LONG = 4, 20  # weeks of the exponentially weighted means
_NEW = 8  # weeks over which a member stops being new, assumed


def mean_viewing(world: World, observations: Float32, weeks: int = _LONG) -> Float32:
    """Return the mean viewing days per week over about 4 or 20 weeks, [B].

    The logged exponential average starts at 0. This function removes that bias; the result is 0 in
    a member's first week.

    Args:
        world: the world.
        observations: [B, F_week] weekly observations.
        weeks: 4 or 20.
    """
    column = columns(world)
    seen = 1 - (1 - 1 / weeks) ** observations[:, column["tenure"]].astype(np.float64)
    mean = observations[:, column[f"viewing_days_mean_{weeks}_weeks"]]
    return (mean / np.maximum(seen, 1 / weeks)).astype(np.float32)


def observation_terms(world: World, observations: Float32) -> Float32:
    """Return the features, and functions of viewing, tenure and shares per send, [B, T].

    Args:
        world: the world.
        observations: [B, F_week].
    """
    column = columns(world)
    short, long = (mean_viewing(world, observations, weeks) for weeks in (_SHORT, _LONG))
    terms = [short, long, np.log1p(long), np.exp(-long)]
    terms.append(np.exp(-observations[:, column["tenure"]] / _NEW))
    for channel in world.channels:
        sends = _LONG * observations[:, column[f"{channel}_sends_mean_{_LONG}_weeks"]]
        for event in ("opens", "dismissals"):
            events = _LONG * observations[:, column[f"{channel}_{event}_mean_{_LONG}_weeks"]]
            share = (events + PRIOR_EVENTS) / (sends + PRIOR_SENDS)
            terms += [share, np.log(share)]
    return np.column_stack([observations, *terms]).astype(np.float32)
