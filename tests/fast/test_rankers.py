import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from slowfast_rl.fast import AffinityRanker, PacedExecutor, QualityRanker
from slowfast_rl.fast.affinity import UNTRAINED, Weights
from slowfast_rl.members.features import LONG_AGO_DAYS
from slowfast_rl.members.loading import load_world
from slowfast_rl.members.observations import (
    opportunity_features,
    opportunity_observation,
    weekly_features,
)
from slowfast_rl.members.population import Population
from tests.fast.cases import random_week, ranked, rebuilt
from tests.members.worlds import world


def shown(population, pattern):
    """Columns of slot signals whose name is made of a pattern and the candidate, [N, K]."""
    w = population.world
    names = [feature.name for feature in weekly_features(w) + opportunity_features(w)]
    columns = [names.index(pattern.format(j)) for j in range(1, w.num_candidates + 1)]
    return opportunity_observation(population)[:, columns]


@pytest.mark.parametrize("ranker", [QualityRanker(), AffinityRanker()], ids=lambda r: r.name)
def test_an_untrained_ranker_picks_the_candidate_of_the_best_quality_shown(ranker):
    population = Population(world("pronounced"), 50, 3, 3)
    random_week(population, np.random.default_rng(0))
    for _ in range(population.world.slots_per_week):
        assert_array_equal(
            ranked(population, ranker), shown(population, "candidate_{}_quality").argmax(axis=1) + 1
        )
        population.step(np.zeros(50, np.int64))


def test_an_untrained_affinity_ranker_lives_the_same_weeks_as_quality():
    one, other = (Population(world("eventful"), 200, 1, 1) for _ in range(2))
    target = np.random.default_rng(0).integers(0, 8, (200, 2)).astype(np.int32)
    for _ in range(6):
        week = PacedExecutor(ranker=QualityRanker()).run_week(one, target)
        same = PacedExecutor(ranker=AffinityRanker()).run_week(other, target)
        for name in week._fields:
            assert_array_equal(getattr(week, name), getattr(same, name), err_msg=name)


def expected_scores(population, weights):
    """The score of every candidate in float64, from the log itself, [N, K]."""
    w, log = population.world, population.simulation.log
    topics = np.stack(
        [shown(population, f"candidate_{{}}_is_topic_{d}") for d in range(w.num_topics)], axis=2
    ).argmax(axis=2)  # [N, K]
    sends, opens, last = (log.by_topic[:, :, k].astype(np.float64) for k in range(3))  # [N, D]
    rate = (opens.sum(axis=1) + 1) / (sends.sum(axis=1) + 10)
    liking = np.log((opens + weights.strength) / (sends * rate[:, None] + weights.strength))
    today = population.weeks[:, None] * 7 + w.schedule[population.slot].weekday
    days = np.minimum(today - last, 60)
    by_topic = (
        weights.affinity * liking
        + weights.recent_short * np.exp(-days / 7)
        + weights.recent_long * np.exp(-days / 30)
    )
    return (
        weights.quality * shown(population, "candidate_{}_quality")
        + weights.launch * shown(population, "candidate_{}_launch_flag")
        + np.take_along_axis(by_topic, topics, axis=1)
    )


WEIGHTS = st.builds(
    Weights,
    strength=st.floats(0.5, 64),
    quality=st.floats(-2, 2),
    launch=st.floats(-2, 2),
    affinity=st.floats(-2, 2),
    recent_short=st.floats(-3, 3),
    recent_long=st.floats(-3, 3),
)


@settings(max_examples=20)
@given(WEIGHTS, st.integers(0, 20), st.integers(0, 2**32 - 1))
def test_the_ranker_picks_the_candidate_of_the_highest_score(weights, slots, seed):
    population = Population(world("pronounced"), 12, seed, seed)
    generator = np.random.default_rng(seed)
    random_week(population, generator, share=0.2)
    for _ in range(slots):
        population.step(np.zeros(12, np.int64))
    scores = expected_scores(population, weights)
    chosen = ranked(population, AffinityRanker.with_weights(weights)) - 1
    assert_allclose(scores[np.arange(12), chosen], scores.max(axis=1), atol=1e-5)


def test_a_topic_sent_longer_ago_than_the_signals_tell_counts_as_never_sent():
    days = next(
        f for f in weekly_features(world("pronounced")) if f.name == "topic_0_days_since_send"
    )
    assert days.high == LONG_AGO_DAYS


def liking(weights):
    """What a topic with 8 opens, where 4 were expected, adds to the score."""
    return weights.affinity * np.log((8 + weights.strength) / (4 + weights.strength))


@pytest.fixture(scope="module")
def learned():
    return AffinityRanker(num_members=512, weeks=30).learn(world("pronounced"), seed=1)


def test_training_finds_that_quality_launches_and_liked_topics_are_opened(learned):
    weights = learned.learned
    assert weights.quality > 0.3
    assert weights.launch > 0
    assert weights.affinity > 0
    assert liking(weights) > 0.15


def test_training_finds_no_affinity_where_members_do_not_differ_in_taste():
    tasteless = load_world("pronounced", {"response.taste_weight": 0})
    weights = AffinityRanker(num_members=512, weeks=30).learn(tasteless, seed=1).learned
    assert abs(liking(weights)) < 0.1
    assert weights.quality > 0.3


def test_training_twice_on_a_seed_gives_the_same_weights_and_another_seed_others(learned):
    again = AffinityRanker.with_weights(Weights(9, 9, 9, 9, 9, 9), learned.settings)
    again.learn(world("pronounced"), seed=1)
    assert again.learned == learned.learned
    other = AffinityRanker(num_members=512, weeks=30).learn(world("pronounced"), seed=2)
    assert other.learned != learned.learned


def test_the_executor_uses_the_rankers_present_weights():
    ranker = AffinityRanker()
    executor, w = PacedExecutor(ranker=ranker), world("pronounced")
    assert_array_equal(executor.fast_policy(w).ranking, np.array(UNTRAINED, np.float32))
    ranker.learned = Weights(2, 3, 4, 5, 6, 7)
    assert_array_equal(executor.fast_policy(w).ranking, [2, 3, 4, 5, 6, 7])


def test_a_ranker_comes_back_from_its_state(learned):
    assert rebuilt(learned).learned == learned.learned
    assert isinstance(rebuilt(QualityRanker()), QualityRanker)


@pytest.mark.parametrize(
    "changes",
    [
        {"quality": "high"},
        {"quality": float("nan")},
        {"affinity": None},
        {"launch": [1]},
        {"strength": 0},
        {"strength": True},
        {"colour": 1},
    ],
)
def test_weights_that_are_not_allowed_are_refused_in_one_line(changes):
    with pytest.raises(ValueError, match=r"ranker weight.*allowed") as raised:
        rebuilt(AffinityRanker(), changes)
    assert "\n" not in str(raised.value)


def test_a_ranker_that_learns_nothing_has_no_weights():
    with pytest.raises(ValueError, match="allowed: weights"):
        rebuilt(QualityRanker(), {"quality": 1})
