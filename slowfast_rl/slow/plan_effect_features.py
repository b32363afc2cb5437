"""Logged features as terms of a linear model: as they are, and what rates and shares they imply."""

import numpy as np

from slowfast_rl.members.arrays import Float32
from slowfast_rl.members.features import weekly_features
from slowfast_rl.members.world import World

_SHORT, _LONG = 4, 20  # weeks of the exponentially weighted means
_PRIOR_EVENTS, _PRIOR_SENDS = 1, 10  # shrink shares towards 1 in 10
_NEW = 8  # weeks over which a member stops being new, assumed


def mean_viewing(world: World, observations: Float32, weeks: int = _LONG) -> Float32:
    """Return viewing days a week over about so many weeks, or since the start if shorter, [B].

    The logged mean starts at 0; this undoes it. 0 in a member's first week.

    Args:
        world: the world.
        observations: [B, F_week].
        weeks: 4 or 20.
    """
    columns = {feature.name: k for k, feature in enumerate(weekly_features(world))}
    seen = 1 - (1 - 1 / weeks) ** observations[:, columns["tenure"]].astype(np.float64)
    mean = observations[:, columns[f"viewing_days_mean_{weeks}_weeks"]]
    return (mean / np.maximum(seen, 1 / weeks)).astype(np.float32)


def observation_terms(world: World, observations: Float32) -> Float32:
    """Return the features, and viewing, tenure and shares per send on curved scales, [B, T].

    Args:
        world: the world.
        observations: [B, F_week].
    """
    columns = {feature.name: k for k, feature in enumerate(weekly_features(world))}
    short, long = (mean_viewing(world, observations, weeks) for weeks in (_SHORT, _LONG))
    terms = [short, long, np.log1p(long), np.exp(-long)]
    terms.append(np.exp(-observations[:, columns["tenure"]] / _NEW))
    for channel in world.channels:
        sends = _LONG * observations[:, columns[f"{channel}_sends_mean_{_LONG}_weeks"]]
        for event in ("opens", "dismissals"):
            events = _LONG * observations[:, columns[f"{channel}_{event}_mean_{_LONG}_weeks"]]
            share = (events + _PRIOR_EVENTS) / (sends + _PRIOR_SENDS)
            terms += [share, np.log(share)]
    return np.column_stack([observations, *terms]).astype(np.float32)
