"""Opportunities as jitted fast policies receive them, called from Python."""

import numpy as np

from slowfast_rl.members.opportunity import opportunity
from slowfast_rl.members.population import Population


def ranked(population: Population, ranker) -> np.ndarray:
    """The candidate, counted from 1, that a ranker picks for each member at this slot, [N]."""
    lives, chosen = population.lives, []
    for i in range(population.num_members):
        chance = opportunity(lives, i, population.slot)
        chance = chance._replace(flag_threshold=np.float32(chance.flag_threshold))
        chosen.append(ranker.function(chance, lives.log, lives.launches, ranker.weights)[0])
    return np.array(chosen)


def random_week(population: Population, generator: np.random.Generator, share: float = 0.4) -> None:
    """Live through a week under random actions."""
    for _ in range(population.world.slots_per_week):
        actions = generator.integers(1, population.world.num_candidates + 1, population.num_members)
        population.step(np.where(generator.random(population.num_members) < share, actions, 0))
