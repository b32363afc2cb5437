"""Rankers, pacers and executors that learn from a log alone."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from slowfast_rl.fast import (
    AffinityRanker,
    BidPricePacer,
    ExactPacer,
    ExploringExecutor,
    PacedExecutor,
    PPOExecutor,
    UpliftRanker,
)
from slowfast_rl.fast.affinity import LOG_COLUMNS, sends_of
from slowfast_rl.fast.bid_price import best_scores, logged_scores
from slowfast_rl.fast.trials import observed_terms, trial_terms, trials_of
from slowfast_rl.logs.histories import weekly_table
from slowfast_rl.members.observations import opportunity_observation
from slowfast_rl.members.population import Population
from tests.logs.cases import logged_world
from tests.logs.learning import recorded


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """A log whose executor often explores."""
    return recorded(tmp_path_factory.mktemp("log") / "log")


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    """The same log in six parts."""
    return recorded(tmp_path_factory.mktemp("split") / "log", shard=100)


def test_affinity_learns_from_all_sends_of_the_log(log):
    rows = sends_of(log)
    table = weekly_table(log)
    assert len(rows) == table.sends.sum()
    assert rows[:, LOG_COLUMNS.index("opened")].sum() == table.opens.sum()
    for c in range(len(log.world.channels)):
        on_channel = rows[:, LOG_COLUMNS.index("channel")] == c
        assert on_channel.sum() == table.sends[:, :, c].sum()


def test_affinity_finds_that_quality_and_liking_are_opened_and_repetition_is_not(log):
    learned = AffinityRanker().learn_from_log(log).learned
    assert learned.quality > 0.1
    assert learned.affinity > 0.2
    assert learned.recent_short + learned.recent_long < 0
    simulated = AffinityRanker(num_members=600, weeks=12).learn(log.world, seed=3).learned
    assert abs(learned.quality - simulated.quality) < 0.2


def test_terms_of_an_observation_are_those_of_the_simulation():
    w = logged_world("eventful")
    population = Population(w, 50, 4, 4)
    rng = np.random.default_rng(0)
    for _ in range(3 * w.slots_per_week + 5):
        choice = rng.integers(w.num_candidates, size=50)
        expected = trial_terms(population, choice)
        found = observed_terms(w, opportunity_observation(population), choice)
        alive = population.alive
        for ours, theirs in zip(found, expected, strict=True):
            assert_allclose(ours[alive], theirs[alive], rtol=1e-4, atol=1e-4)
        population.step(np.where(rng.random(50) < 0.3, choice + 1, 0))


def test_trials_are_the_opportunities_that_were_left_to_chance_with_the_views_of_their_day(log):
    trials = trials_of(log)
    (part,) = log.parts()
    given = part.decisions.columns
    free = given["propensity"] < 1
    assert len(trials.sent) == free.sum()
    assert trials.sent.sum() == (free & (given["action"] > 0)).sum() > 1000
    outcomes = part.outcomes.columns
    views = outcomes["event"] == 4
    seen = set(zip(outcomes["member"][views], outcomes["time"][views] // 86400, strict=True))
    order = np.lexsort((given["time"][free], given["member"][free]))
    members, days = given["member"][free][order], given["time"][free][order] // 86400
    viewed = [(m, d) in seen for m, d in zip(members, days, strict=True)]
    assert_array_equal(trials.viewed, viewed)
    assert_array_equal(trials.weekday, days % 7)


def test_uplift_from_a_log_ranks_by_quality_and_prefers_what_was_not_sent_lately(log):
    learned = UpliftRanker().learn_from_log(log).learned
    assert learned.candidate[0] > 0.1  # quality
    assert len(learned.channel) == len(log.world.channels)
    assert learned.organic[0] + learned.organic[1] > 0.5  # who views, views


def test_bid_prices_from_a_log_are_near_those_of_a_simulation(log):
    ranker = AffinityRanker().learn_from_log(log)
    logged = logged_scores(log, ranker, 4)
    simulated = best_scores(log.world, ranker, 600, 12, 4, 3)
    for ours, theirs in zip(logged, simulated, strict=True):
        shares = np.linspace(0.05, 0.95, 10)
        spread = theirs.std()
        assert_allclose(np.quantile(ours, shares), np.quantile(theirs, shares), atol=0.15 * spread)
    pacer = BidPricePacer()
    pacer.learn_from_log(log, ranker)
    assert pacer.opportunities == 0
    assert len(pacer.quantiles) == len(log.world.channels)


def test_a_log_in_many_parts_teaches_messages_the_same_bit_for_bit(log, split):
    for max_rows in (10**6, 4000):
        states = []
        for one in (log, split):
            executor = PacedExecutor(BidPricePacer(), AffinityRanker())
            executor.learn_from_log(one, max_rows=max_rows)
            uplift = UpliftRanker().learn_from_log(one, max_rows=max_rows)
            states.append((executor.versioned(), uplift.state()))
        assert states[0] == states[1]


def test_an_executor_learns_what_its_parts_can_and_leaves_the_others(log):
    executor = ExploringExecutor(PacedExecutor(ExactPacer(), AffinityRanker()))
    executor.learn_from_log(log, max_rows=5000)
    inner = executor.executor
    assert isinstance(inner, PacedExecutor)
    assert inner.ranker.state() == AffinityRanker().learn_from_log(log, max_rows=5000).state()


def test_a_class_without_it_says_so_and_names_those_that_have_it(log):
    with pytest.raises(ValueError, match="PPOExecutor cannot learn from a log") as raised:
        PPOExecutor().learn_from_log(log)
    assert "built-in executors that can: ExploringExecutor, PacedExecutor" in str(raised.value)
    with pytest.raises(ValueError, match=r"ExactPacer cannot learn from a log.*BidPricePacer"):
        ExactPacer().learn_from_log(log)


def test_a_log_without_holds_teaches_rankers_of_opens_and_neither_prices_nor_effects(tmp_path):
    log = recorded(tmp_path / "log", num_members=100, weeks=6, holds=False)
    ranker = AffinityRanker().learn_from_log(log)
    assert ranker.learned.quality > 0
    with pytest.raises(ValueError, match="no decisions to hold; bid prices need"):
        BidPricePacer().learn_from_log(log, ranker)
    with pytest.raises(ValueError, match="no sends and decisions to hold that were left to chance"):
        UpliftRanker().learn_from_log(log)
