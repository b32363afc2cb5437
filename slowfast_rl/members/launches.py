"""The launch calendar, shared by all members: drawn from (luck seed, week) alone, or given."""

from functools import lru_cache
from math import exp

import numpy as np

from slowfast_rl.members.arrays import Float32
from slowfast_rl.members.compile import driver
from slowfast_rl.members.random import Domain, choose_below, draw, uniform
from slowfast_rl.members.world import World

_LAUNCH = int(Domain.LAUNCH)
_MAX_LAUNCHES = 1000  # per week; more have probability ~0 at the largest allowed rate


@driver()
def _count_launches(calendar: Float32, seed: int, limit: float) -> None:
    """Add launches by day and topic to calendar [7 * weeks, D].

    The weekly number is Poisson, drawn by Knuth's product of uniforms; ``limit`` is e^-rate.
    """
    num_topics = calendar.shape[1]
    for week in range(calendar.shape[0] // 7):
        product, number = 1.0, 0
        while number < _MAX_LAUNCHES:
            product *= 1.0 - float(uniform(draw(seed, 0, 0, week, 8 * number, _LAUNCH)))
            if product <= limit:
                break
            topic, rest = choose_below(draw(seed, 0, 0, week, 8 * number + 1, _LAUNCH), num_topics)
            day, rest = choose_below(rest, 7)
            calendar[7 * week + day, topic] += 1
            number += 1


def launch_counts(world: World, luck_seed: int, weeks: int) -> Float32:
    """Return the number of launches of each day and topic, [7 * weeks, D]."""
    counts = np.zeros((7 * weeks, world.num_topics), np.float32)
    _count_launches(counts, luck_seed, exp(-world.launches.per_week))
    return counts


def intensity_of(world: World, counts: Float32) -> Float32:
    """Return the launch intensity of each day and topic, [days, D], given launches [days, D].

    A launch adds 1 to its topic's intensity, which halves every half-life and starts at 0.
    """
    intensity = np.array(counts, np.float32)
    kept = np.float32(0.5 ** (1 / world.launches.half_life_days))
    for day in range(1, len(intensity)):
        intensity[day] += kept * intensity[day - 1]
    return intensity


def check_calendar(calendar: Float32, world: World) -> Float32:
    """Return a copy of a calendar: launches of each day and topic, [days, D].

    Raises:
        ValueError: it has another shape, or holds what is no number of launches.
    """
    checked = np.array(calendar, np.float32)
    if checked.ndim != 2 or checked.shape[1] != world.num_topics:
        raise ValueError(
            f"calendar has shape {checked.shape}; allowed is (days, {world.num_topics}), the "
            "launches of each day and topic"
        )
    if checked.size and not (checked.min() >= 0 and checked.max() <= _MAX_LAUNCHES):
        raise ValueError(
            f"calendar spans {checked.min()} to {checked.max()} launches a day; allowed is 0 to "
            f"{_MAX_LAUNCHES}"
        )
    return checked


def launch_intensity(
    world: World, luck_seed: int, weeks: int, calendar: Float32 | None = None
) -> Float32:
    """Return the launch intensity of each day and topic, [7 * weeks, D], read-only.

    Args:
        world: the world.
        luck_seed: decides the launches.
        weeks: number of weeks.
        calendar: [days, D] launches that are known, and replace those drawn for the first days.
    """
    if calendar is None:
        return _drawn_intensity(world, luck_seed, weeks)
    counts = launch_counts(world, luck_seed, weeks)
    counts[: len(calendar)] = calendar[: len(counts)]
    return intensity_of(world, counts)


@lru_cache(maxsize=32)
def _drawn_intensity(world: World, luck_seed: int, weeks: int) -> Float32:
    """Return the intensity of the drawn launches, which many populations share."""
    return intensity_of(world, launch_counts(world, luck_seed, weeks))
