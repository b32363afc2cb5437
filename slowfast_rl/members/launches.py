"""The launch calendar, shared by all members: drawn from (luck seed, week) alone."""

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


@lru_cache(maxsize=32)
def launch_intensity(world: World, luck_seed: int, weeks: int) -> Float32:
    """Return the launch intensity of each day and topic, [7 * weeks, D], read-only.

    A launch adds 1 to its topic's intensity, which halves every half-life and starts at 0.
    """
    limit = exp(-world.launches.per_week)
    intensity = np.zeros((7 * weeks, world.num_topics), np.float32)
    _count_launches(intensity, luck_seed, limit)
    kept = np.float32(0.5 ** (1 / world.launches.half_life_days))
    for day in range(1, len(intensity)):
        intensity[day] += kept * intensity[day - 1]
    return intensity
