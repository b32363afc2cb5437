import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from slowfast_rl.fast import (
    AffinityRanker,
    BidPricePacer,
    CoinPacer,
    ExactPacer,
    PacedExecutor,
    QualityRanker,
    UpliftRanker,
)
from slowfast_rl.fast.decide import decide
from slowfast_rl.fast.proposals import propose
from slowfast_rl.fast.uplift import UNTRAINED, Weights
from slowfast_rl.members.clock import DAY_SECONDS, WEEK_SECONDS
from slowfast_rl.members.observations import opportunity_observation
from slowfast_rl.members.population import Population
from slowfast_rl.policies import PlanReader
from slowfast_rl.policies.contracts import BasePacer
from slowfast_rl.store import InMemoryFeatureStore, pacing_plan, write_plans
from tests.agents.cases import WEIGHTS
from tests.fast.cases import random_week, rank
from tests.members.worlds import world
from tests.policies.classes import Weighing


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


class Half(BasePacer):
    name = "half"

    @staticmethod
    def pace(opportunity, plan_rows, pacing):
        return 0.1, plan_rows[opportunity.row, 2 * opportunity.channel] > 0, 2.0


def weighing():
    ranker = Weighing()
    ranker.weights = np.array([-1.0], np.float32)
    return ranker


PACERS = [ExactPacer, CoinPacer, Half, lambda: BidPricePacer.with_quantiles([[-1, 0, 1, 2]] * 2)]
RANKERS = [QualityRanker, lambda: AffinityRanker.with_weights(WEIGHTS), weighing]


@settings(max_examples=30)
@given(
    st.sampled_from(["pronounced", "shaped"]),
    st.sampled_from(PACERS),
    st.sampled_from(RANKERS),
    st.integers(0, 10**6),
)
def test_a_decision_for_one_member_is_its_row_of_a_batch(name, pacer, ranker, seed):
    w, generator = world(name), np.random.default_rng(seed)
    executor, store = PacedExecutor(pacer(), ranker()), InMemoryFeatureStore()
    whole, single = PlanReader(w, store), PlanReader(w, store)
    population = Population(w, 30, seed, seed)
    random_week(population, generator)  # some opt out
    ids, now = generator.permutation(10**6)[:30], 0
    for week in range(4):
        for _ in range(4):
            some = np.flatnonzero(generator.random(30) < 0.7)
            target = generator.integers(0, 30, (some.size, 2))
            shape = generator.integers(0, 2, some.size) * bool(w.shapes)
            plan = pacing_plan(target, max(week - 1, 0), target + 1, shape, week)
            plan.week[:] += generator.integers(0, 2, some.size) * (week > 0)
            now = week * WEEK_SECONDS + int(generator.integers(0, 7)) * DAY_SECONDS
            if generator.random() < 0.5:
                write_plans(store, ids[some], plan, now)
            obs = opportunity_observation(population)
            times = now + generator.integers(0, 3600, 30)
            reading, choice = decide(w, executor, whole, obs, ids, times, seed)
            for i in range(30):
                one = slice(i, i + 1)
                alone = decide(w, executor, single, obs[one], ids[one], times[one], seed)
                for mine, its in zip(
                    (*alone[0].plan, alone[0].settled, *alone[1]),
                    (*reading.plan, reading.settled, *choice),
                    strict=True,
                ):
                    assert_array_equal(mine, its[one])
                    assert mine.dtype == its.dtype
            assert single.counters == whole.counters
            population.step(np.zeros(30, np.int64))
