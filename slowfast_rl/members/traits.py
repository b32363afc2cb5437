"""Draw members' fixed, hidden traits, a pure function of population seed and member id."""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from slowfast_rl.members.arrays import Float32, Float64, UInt32
from slowfast_rl.members.compile import driver
from slowfast_rl.members.constants import (
    base_rate,
    mean_launch_intensity,
    mean_slope,
    typical_rate,
)
from slowfast_rl.members.random import TRAIT, draw, normal, uniform
from slowfast_rl.members.world import World


class MemberTraits(NamedTuple):
    """The fixed traits of members, which no company observes."""

    base_rate: Float32  # [N] x, views per day
    base_logit: Float32  # [N] b, logits
    fatigue_sensitivity: Float32  # [N] kappa, relative to the mean
    dismissal_propensity: Float32  # [N] psi, relative to the mean
    responsiveness: Float32  # [N, C] A, response probability per send
    opt_out_frailty: Float32  # [N, C] phi, relative to the mean
    taste: Float32  # [N, D] theta, standard deviations
    opt_in_start: Float32  # [N, C] 1 if opted in at the start


class Draw(IntEnum):
    """The trait for which a random number is drawn. Never renumber."""

    BASE_RATE = 0
    FATIGUE_SENSITIVITY = 1
    DISMISSAL = 2
    RESPONSIVENESS = 3
    FRAILTY = 4
    OPT_IN = 5
    TASTE = 6


@driver()
def _fill(values: Float64, seed: int, members: UInt32, trait: int, as_normal: bool) -> None:
    """Fill values [N, count] with standard normal numbers or uniforms in [0, 1) for one trait."""
    for i in range(values.shape[0]):
        for index in range(values.shape[1]):
            word = draw(seed, 0, members[i], index, 4 * trait, TRAIT)
            values[i, index] = normal(word) if as_normal else uniform(word)


def _deviates(seed: int, members: UInt32, trait: Draw, count: int, as_normal: bool) -> Float64:
    """Return standard normal numbers or uniforms for one trait, [N, count]."""
    values = np.empty((len(members), count), np.float64)
    _fill(values, seed, members, int(trait), as_normal)
    return values


def draw_traits(world: World, population_seed: int, members: UInt32) -> MemberTraits:
    """Return the traits of some members; a member's traits do not depend on the other members.

    Args:
        world: the world whose trait distributions are used.
        population_seed: 0 to 2^32 - 1.
        members: [N] member ids.
    """
    law, num_channels = world.traits, len(world.channels)

    def normals(trait: Draw, count: int = 1) -> Float64:
        return _deviates(population_seed, members, trait, count, True)

    def uniforms(trait: Draw, count: int = 1) -> Float64:
        return _deviates(population_seed, members, trait, count, False)

    x = base_rate(law, normals(Draw.BASE_RATE)[:, 0])
    slope = (typical_rate(law) / x) ** law.responsiveness_slope / mean_slope(law)
    responsiveness = _lognormal(
        law.responsiveness_spread, normals(Draw.RESPONSIVENESS, num_channels)
    )
    frailty = -np.log1p(-uniforms(Draw.FRAILTY, num_channels))
    base_logit = (
        np.log(x / (1 - x))
        - world.organic.habit_weight * x
        - world.organic.launch_weight * mean_launch_intensity(world)
    )
    return MemberTraits(
        base_rate=x.astype(np.float32),
        base_logit=base_logit.astype(np.float32),
        fatigue_sensitivity=_sensitivity(world, population_seed, members).astype(np.float32),
        dismissal_propensity=_lognormal(law.dismissal_spread, normals(Draw.DISMISSAL))[:, 0].astype(
            np.float32
        ),
        responsiveness=(np.array(law.responsiveness) * responsiveness * slope[:, None]).astype(
            np.float32
        ),
        opt_out_frailty=frailty.astype(np.float32),
        taste=normals(Draw.TASTE, world.num_topics).astype(np.float32),
        opt_in_start=(uniforms(Draw.OPT_IN, num_channels) < np.array(law.opt_in)).astype(
            np.float32
        ),
    )


def empty_traits(num_members: int, num_channels: int, num_topics: int) -> MemberTraits:
    """Return zeroed trait arrays."""
    member, channel = np.zeros(num_members, np.float32), (num_members, num_channels)
    return MemberTraits(
        base_rate=member,
        base_logit=member.copy(),
        fatigue_sensitivity=member.copy(),
        dismissal_propensity=member.copy(),
        responsiveness=np.zeros(channel, np.float32),
        opt_out_frailty=np.zeros(channel, np.float32),
        taste=np.zeros((num_members, num_topics), np.float32),
        opt_in_start=np.zeros(channel, np.float32),
    )


def _lognormal(spread: float, z: Float64) -> Float64:
    """Return the lognormal variable of mean 1 at standard normal z."""
    return np.asarray(np.exp(spread * z - spread**2 / 2), np.float64)


def _sensitivity(world: World, population_seed: int, members: UInt32) -> Float64:
    """Return fatigue sensitivities [N], lognormal or drawn from the world's discrete values."""
    law, trait = world.traits, Draw.FATIGUE_SENSITIVITY
    if not law.fatigue_sensitivity_values:
        z = _deviates(population_seed, members, trait, 1, True)[:, 0]
        return _lognormal(law.fatigue_sensitivity_spread, z)
    u = _deviates(population_seed, members, trait, 1, False)[:, 0]
    thresholds = np.cumsum(law.fatigue_sensitivity_shares)[:-1]
    return np.array(law.fatigue_sensitivity_values, np.float64)[
        np.searchsorted(thresholds, u, "right")
    ]
