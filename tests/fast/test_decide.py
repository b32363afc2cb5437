import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from slowfast_rl.fast import UpliftRanker
from slowfast_rl.fast.decide import propose
from slowfast_rl.fast.uplift import UNTRAINED, Weights
from slowfast_rl.members.observations import opportunity_observation
from slowfast_rl.members.population import Population
from tests.fast.cases import random_week, rank
from tests.members.worlds import world


def made_up(num_channels):
    generator = np.random.default_rng(0)
    sizes = [7, 5, 17, 6, num_channels]
    return Weights(*(tuple(generator.uniform(-0.5, 0.5, size).tolist()) for size in sizes))


@pytest.mark.parametrize("name", ["pronounced", "in_app", "eventful"])
def test_observations_give_the_effects_that_the_fused_ranker_sees(name):
    w = world(name)
    population = Population(w, 60, 3, 3)
    ranker = UpliftRanker.with_weights(made_up(len(w.channels)))
    generator = np.random.default_rng(1)
    for week in range(10):
        if week in (0, 9):
            for _ in range(w.slots_per_week):
                effects = propose(w, None, ranker, opportunity_observation(population)).scores
                for i in np.flatnonzero(population.alive):
                    best, score = rank(population, ranker, i)
                    assert_allclose(effects[i].max(), score, rtol=2e-3)
                    assert_allclose(effects[i, best - 1], score, rtol=2e-3)
                population.step(generator.integers(0, 3, 60))
        else:
            random_week(population, generator, share=0.3)


def test_an_untrained_model_ranks_on_quality():
    w = world("pronounced")
    population = Population(w, 30, 3, 3)
    effects = propose(
        w, None, UpliftRanker.with_weights(UNTRAINED), opportunity_observation(population)
    ).scores
    quality = propose(
        w,
        None,
        UpliftRanker.with_weights(UNTRAINED._replace(candidate=(2.0,) + (0.0,) * 5)),
        opportunity_observation(population),
    ).scores
    assert effects.shape == (30, 4)
    assert_array_equal(effects.argsort(axis=1), quality.argsort(axis=1))
