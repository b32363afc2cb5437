import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from slowfast_rl.fast import AffinityRanker, BidPricePacer, ExactPacer, PacedExecutor, QualityRanker
from slowfast_rl.fast.bid_price import best_scores, bid_prices
from slowfast_rl.members.loading import load_world
from slowfast_rl.members.observations import (
    opportunity_features,
    opportunity_observation,
    weekly_features,
)
from slowfast_rl.members.population import Population
from tests.fast.cases import rebuilt
from tests.members.worlds import world

UNIFORM = (np.arange(2000) + 0.5) / 2000
LIVING = {"floor": 0, "scale": 0}
QUALITIES = [
    i
    for i, feature in enumerate(
        weekly_features(world("pronounced")) + opportunity_features(world("pronounced"))
    )
    if feature.name.endswith("_quality")
]
LAWS = st.lists(st.floats(-5, 5), min_size=1, max_size=6)


def test_prices_of_uniform_scores_are_those_computed_by_hand():
    price = bid_prices(UNIFORM, 4)
    assert_allclose(price[2, 1], 0.5)
    assert_allclose(price[3, 1], 0.625, atol=1e-6)  # E max(X, 1/2)
    assert_allclose(price[4, 1], (1 + 0.625**2) / 2, atol=1e-6)
    assert_allclose(price[3, 2], 0.375, atol=1e-6)  # by symmetry: one slot of three is left out
    assert (price[:, 0] == np.inf).all()
    for n in range(1, 5):
        assert (price[n, n:] == -np.inf).all()


def total_by_enumeration(scores, price, n, b):
    """Expected total score of b sends at n slots, every sequence of equally likely scores lived."""
    if n == 0 or b == 0:
        return 0.0 if b == 0 else -np.inf
    values = [
        x + total_by_enumeration(scores, price, n - 1, b - 1)
        if x >= price[n, b]
        else total_by_enumeration(scores, price, n - 1, b)
        for x in scores
    ]
    return float(np.mean(values))


def best_by_enumeration(scores, n, b):
    """The most that any rule can expect of exactly b sends at n slots."""
    if b > n:
        return -np.inf
    if n == 0:
        return 0.0
    hold = best_by_enumeration(scores, n - 1, b)
    if b == 0:
        return 0.0
    send = best_by_enumeration(scores, n - 1, b - 1)
    return float(np.mean([max(x + send, hold) for x in scores]))


@given(LAWS, st.integers(1, 5), st.integers(0, 5))
def test_no_rule_that_sends_as_often_expects_a_higher_total(law, n, b):
    b, scores = min(b, n), np.array(sorted(law))
    price = bid_prices(scores, n)
    found = total_by_enumeration(scores, price, n, b)
    assert_allclose(found, best_by_enumeration(scores, n, b), atol=1e-9)


@given(LAWS)
def test_a_send_costs_more_with_more_slots_left_and_less_with_more_sends_left(law):
    price = bid_prices(np.array(sorted(law)), 8)
    for n in range(2, 9):
        assert (np.diff(price[n, 1:n]) <= 1e-9).all()
        for b in range(1, n - 1):
            assert price[n, b] >= price[n - 1, b] - 1e-9


@pytest.mark.parametrize("shift", [-3.0, 7.0])
def test_only_differences_between_scores_count(shift):
    scores = np.array([-1.0, 0.2, 0.4, 3.0])
    inner = np.tril(np.ones((7, 7), bool), -1)
    inner[:, 0] = False
    one, other = bid_prices(scores, 6), bid_prices(scores + shift, 6)
    assert_allclose(other[inner], one[inner] + shift)


@pytest.fixture(scope="module")
def learned():
    w = world("pronounced")
    return BidPricePacer(num_members=400, weeks=12).learn(w, QualityRanker(), seed=1)


def test_it_learns_the_law_of_the_best_of_four_normal_qualities(learned):
    draws = np.random.default_rng(0).normal(size=(200_000, 4)).max(axis=1)
    for law in learned.quantiles:
        for share in (0.1, 0.5, 0.9):
            assert abs(np.quantile(law, share) - np.quantile(draws, share)) < 0.05
    assert learned.opportunities == 400 * 12 * 21


def test_scores_are_those_of_the_ranker_at_all_opportunities_of_the_opted_in():
    w = load_world("pronounced", {"opt_out.hazard": 0, "opt_out.return_rate": 0, "churn": LIVING})
    found = best_scores(w, QualityRanker(), 30, 3, 1, 5)
    population = Population(w, 30, 5, 5)
    expected = [[], []]
    for number in range(3 * 21):
        channel = w.schedule[population.slot].channel
        if number >= 21:
            shown = opportunity_observation(population)[:, QUALITIES].max(axis=1)
            expected[channel].append(shown[population.opted_in[:, channel]])
        population.step(np.zeros(30, np.int64))
    for law, scores in zip(found, expected, strict=True):
        assert_allclose(law, np.concatenate(scores), rtol=1e-6)


def sent_quality(pacer, ranker, target, members=3000):
    """Mean relevance of a week's sends: what a send's causal opens come to per send."""
    population = Population(world("pronounced"), members, 9, 9)
    plan = np.tile(np.array([target], np.int32), (members, 1))
    week = PacedExecutor(pacer, ranker).run_week(population, plan)
    return week.causal_opens.sum() / week.sends.sum()


@pytest.mark.parametrize("target", [(1, 1), (5, 2)])
def test_as_many_sends_bring_more_responses_than_paced_exactly(learned, target):
    exact = sent_quality(ExactPacer(), QualityRanker(), target)
    assert sent_quality(learned, QualityRanker(), target) > 1.15 * exact


def test_untrained_it_lives_the_lives_of_the_exact_pacer():
    one, other = (Population(world("eventful"), 200, 1, 1) for _ in range(2))
    target = np.random.default_rng(0).integers(0, 8, (200, 2)).astype(np.int32)
    week = PacedExecutor(ExactPacer()).run_week(one, target)
    same = PacedExecutor(BidPricePacer()).run_week(other, target)
    for name in week._fields:
        assert_array_equal(getattr(week, name), getattr(same, name), err_msg=name)


def test_learning_depends_on_the_seed_and_the_ranker_alone(learned):
    w = world("pronounced")
    again = BidPricePacer.with_quantiles([[9]], learned.settings)
    again.learn(w, QualityRanker(), seed=1)
    assert again.quantiles == learned.quantiles
    for ranker, seed in ((QualityRanker(), 2), (AffinityRanker().learn(w, seed=1), 1)):
        other = BidPricePacer(num_members=400, weeks=12).learn(w, ranker, seed=seed)
        assert other.quantiles != learned.quantiles


def test_learning_again_changes_the_prices():
    w = world("pronounced")
    settings = BidPricePacer(num_members=20, weeks=2, burn_in=0).settings
    pacer = BidPricePacer.with_quantiles([[0, 1]] * 2, settings)
    before = pacer.pacing(w)
    assert not np.array_equal(pacer.learn(w, QualityRanker()).pacing(w), before)


def test_a_channel_that_reaches_nobody_is_priced_all_the_same():
    nobody = load_world("pronounced", {"traits.opt_in": {"push": 1, "email": 0}})
    pacer = BidPricePacer(num_members=20, weeks=2, burn_in=0).learn(nobody, QualityRanker())
    assert len(pacer.quantiles[0]) > 1
    assert pacer.quantiles[1] == (0.0,)
    week = PacedExecutor(pacer).run_week(Population(nobody, 20), np.full((20, 2), 3, np.int32))
    assert_array_equal(week.sends[:, 1], 0)


def test_a_pacer_comes_back_from_its_state(learned):
    for pacer in (learned, BidPricePacer()):
        again = rebuilt(pacer)
        assert again.quantiles == pacer.quantiles
        assert_array_equal(again.pacing(world("pronounced")), pacer.pacing(world("pronounced")))


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"quantiles": 3},
        {"quantiles": [3]},
        {"quantiles": [[]]},
        {"quantiles": [[1, 0]]},
        {"quantiles": [[0, float("nan")]]},
        {"quantiles": [[True]]},
        {"quantiles": [[0, "x"]]},
        {"quantiles": [[0]], "more": 1},
    ],
)
def test_a_state_that_is_not_allowed_is_refused_in_one_line(state):
    with pytest.raises(ValueError, match=r"allowed|needed") as raised:
        BidPricePacer.from_state(world("pronounced"), BidPricePacer().settings, state)
    assert "\n" not in str(raised.value)


def test_a_world_of_other_channels_and_a_burn_in_of_all_weeks_are_refused(learned):
    with pytest.raises(ValueError, match=r"scores of 2 channels; 3 are needed"):
        learned.pacing(world("in_app"))
    with pytest.raises(ValueError, match="burn_in is 5; allowed is 0 to 4"):
        BidPricePacer(weeks=5, burn_in=5)
