"""A world as kernels read it: float32 numbers, the schedule, and derived normalisers."""

from functools import cache
from math import log
from typing import NamedTuple

import numpy as np

from slowfast_rl.members.arrays import Float32, Float64, UInt32
from slowfast_rl.members.parameters import TraitDistributions
from slowfast_rl.members.world import World

_SMALLEST_RATE = 1e-9  # views per day; the largest is 1 minus it, so that logits are finite


class Constants(NamedTuple):
    """A world's numbers for kernels; see ``parameters`` for their meaning and units."""

    num_candidates: int
    num_topics: int
    habit_weight: np.float32
    organic_launch_weight: np.float32
    goodwill_weight: np.float32
    organic_fatigue_weight: np.float32
    weekday_effect: Float32  # [7]
    habit_share: np.float32  # weight of the newest day in habit
    taste_weight: np.float32
    launch_weight: np.float32
    launch_flag: np.float32
    relevance_intercept: np.float32
    mean_relevance: np.float32  # E[r] of a random candidate without launch
    wear: np.float32
    wear_rate: np.float32  # ln 2 / half-life, per day
    response_decay: Float32  # [C]
    cross_channel: np.float32
    lapsed_loss: np.float32
    lapsed_rate: np.float32
    response_ceiling: np.float32
    tap: Float32  # [C]
    fatigue_kept: Float32  # [C] share of fatigue left after a day
    fatigue_ceiling: np.float32
    relevance_relief: np.float32
    opened_fatigue: np.float32
    goodwill_loss: Float32  # [C]
    goodwill_share: np.float32  # share of lost goodwill regained in a day
    hazard: Float32  # [C]
    hazard_fatigue: Float32  # [C]
    hazard_relevance: np.float32
    hazard_ceiling: np.float32
    opt_in_again: Float32  # [C]
    churn_floor: np.float32
    churn_scale: np.float32
    churn_rate: np.float32
    dismissal_base: np.float32
    dismissal_rate: Float32  # [C]
    viewing_day_value: float  # this and the next four: the reward's weights, in viewing days
    causal_open_value: float
    message_cost: float
    opt_out_cost: float
    churn_cost: float


class Schedule(NamedTuple):
    """The week's S slots as arrays, unsigned so that kernels index without a sign check."""

    channel: UInt32  # [S]
    weekday: UInt32  # [S]
    index_in_day: UInt32  # [S] from 0
    slots_in_day: UInt32  # [7]
    slots_left: UInt32  # [S] slots of the slot's channel left this week, itself included


def constants(world: World) -> Constants:
    """Return a world's numbers as kernels read them."""
    f, r = np.float32, world.response

    def per_channel(values: tuple[float, ...]) -> Float32:
        return np.array(values, np.float32)

    return Constants(
        num_candidates=world.num_candidates,
        num_topics=world.num_topics,
        habit_weight=f(world.organic.habit_weight),
        organic_launch_weight=f(world.organic.launch_weight),
        goodwill_weight=f(world.organic.goodwill_weight),
        organic_fatigue_weight=f(world.organic.fatigue_weight),
        weekday_effect=per_channel(world.organic.weekday_effect),
        habit_share=f(1 / world.organic.habit_days),
        taste_weight=f(r.taste_weight),
        launch_weight=f(r.launch_weight),
        launch_flag=f(world.launches.flag_threshold),
        relevance_intercept=f(r.intercept),
        mean_relevance=f(mean_relevance(world)),
        wear=f(r.wear),
        wear_rate=f(log(2) / r.wear_half_life_days),
        response_decay=per_channel(r.fatigue_decay),
        cross_channel=f(r.cross_channel),
        lapsed_loss=f(r.lapsed_loss),
        lapsed_rate=f(r.lapsed_rate),
        response_ceiling=f(r.ceiling),
        tap=per_channel(r.tap),
        fatigue_kept=np.exp(-1 / np.array(world.fatigue.decay_days)).astype(np.float32),
        fatigue_ceiling=f(world.fatigue.ceiling),
        relevance_relief=f(world.fatigue.relevance_relief),
        opened_fatigue=f(world.fatigue.opened_share),
        goodwill_loss=per_channel(world.fatigue.goodwill_loss),
        goodwill_share=f(1 / world.fatigue.goodwill_days),
        hazard=per_channel(world.opt_out.hazard),
        hazard_fatigue=per_channel(world.opt_out.fatigue_weight),
        hazard_relevance=f(world.opt_out.relevance_weight),
        hazard_ceiling=f(world.opt_out.ceiling),
        opt_in_again=per_channel(world.opt_out.return_rate),
        churn_floor=f(world.churn.floor),
        churn_scale=f(world.churn.scale),
        churn_rate=f(world.churn.habit_rate),
        dismissal_base=f(world.dismissal.base_rate),
        dismissal_rate=per_channel(world.dismissal.rate),
        viewing_day_value=float(world.reward.viewing_day),
        causal_open_value=float(world.reward.causal_open),
        message_cost=float(world.reward.message_cost),
        opt_out_cost=float(world.reward.opt_out),
        churn_cost=float(world.reward.churn),
    )


def schedule(world: World) -> Schedule:
    """Return a world's schedule as arrays."""
    channel = np.array([s.channel for s in world.schedule], np.uint32)
    weekday = np.array([s.weekday for s in world.schedule], np.uint32)
    slots = np.arange(len(channel))
    earlier = slots[None, :] < slots[:, None]  # [S, S]
    same_day, same_channel = weekday[None] == weekday[:, None], channel[None] == channel[:, None]
    return Schedule(
        channel=channel,
        weekday=weekday,
        index_in_day=(earlier & same_day).sum(axis=1).astype(np.uint32),
        slots_in_day=np.bincount(weekday, minlength=7).astype(np.uint32),
        slots_left=(~earlier & same_channel).sum(axis=1).astype(np.uint32),
    )


def mean_launch_intensity(world: World) -> float:
    """Return the mean total launch intensity (no unit)."""
    return (world.launches.per_week / 7) / (1 - 2 ** (-1 / world.launches.half_life_days))


def mean_relevance(world: World) -> float:
    """Return E[r] of a random candidate without launch, in (0, 1)."""
    z, weight = standard_normal()
    spread = (1 + world.response.taste_weight**2) ** 0.5
    return float(weight @ _logistic(world.response.intercept + spread * z))


def typical_rate(traits: TraitDistributions) -> float:
    """Return m_x, the base rate at the centre of its distribution (views per day)."""
    location = np.array(traits.base_rate_location)
    return float(np.exp(location) if traits.base_rate_law == "lognormal" else _logistic(location))


def base_rate(traits: TraitDistributions, z: Float64) -> Float64:
    """Return the base viewing rate x of members with standard normal deviates z (views per day)."""
    scale = traits.base_rate_location + traits.base_rate_spread * z
    rate = np.exp(scale) if traits.base_rate_law == "lognormal" else _logistic(scale)
    clipped = np.clip(rate, traits.base_rate_low, traits.base_rate_high)
    return np.asarray(np.clip(clipped, _SMALLEST_RATE, 1 - _SMALLEST_RATE), np.float64)


@cache
def mean_slope(traits: TraitDistributions) -> float:
    """Return E[(m_x / x)^slope] (no unit), by which responsiveness is divided."""
    z, weight = standard_normal()
    return float(
        weight @ (typical_rate(traits) / base_rate(traits, z)) ** traits.responsiveness_slope
    )


def mean_pick(world: World) -> float:
    """Return the mean relevance, without launches, of the best of K candidates by quality."""
    z, weight = standard_normal()
    below = np.cumsum(weight) - weight / 2  # distribution function of one candidate's quality
    k = world.num_candidates
    best = k * below ** (k - 1) * weight  # distribution of the largest quality, as weights on z
    taste, taste_weight = z[::200], weight[::200] / weight[::200].sum()
    logits = world.response.intercept + z[::20, None] + world.response.taste_weight * taste
    return float((best[::20] / best[::20].sum()) @ _logistic(logits) @ taste_weight)


def standard_normal() -> tuple[Float64, Float64]:
    """Return nodes z on [-10, 10] and weights of a standard normal distribution.

    The grid is fine and even, so that means of clipped functions are accurate too.
    """
    z = np.linspace(-10, 10, 20001)
    weight = np.exp(-(z**2) / 2)
    return z, weight / weight.sum()


def _logistic(x: Float64) -> Float64:
    return np.asarray(1 / (1 + np.exp(-x)), np.float64)
