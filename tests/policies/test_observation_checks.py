"""Observations and times from outside are refused before anything is kept of them."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from slowfast_rl.agents import SlowFastAgent
from slowfast_rl.fast import PacedExecutor
from slowfast_rl.members.beliefs import BeliefFilter
from slowfast_rl.members.features import bounds, opportunity_features, weekly_features
from slowfast_rl.members.observations import opportunity_observation, weekly_observation
from slowfast_rl.members.population import Population
from slowfast_rl.policies import default_executor
from slowfast_rl.policies.belief_memory import BeliefMemory
from slowfast_rl.policies.columns import columns
from slowfast_rl.policies.observation_checks import LATEST, opportunity_check, weekly_check
from tests.members.worlds import world
from tests.policies.test_belief_memory import Listening

WORLD = world("pronounced")
BAD = [np.nan, np.inf, -np.inf, -1.0, 1e12]


def test_every_observation_of_the_simulation_is_valid_in_every_week():
    population = Population(WORLD, 50, 3, 3)
    generator = np.random.default_rng(0)
    for _ in range(3 * WORLD.slots_per_week):
        assert opportunity_check(WORLD).valid(opportunity_observation(population)).all()
        population.step(generator.integers(0, 1 + WORLD.num_candidates, 50))
    assert weekly_check(WORLD).valid(weekly_observation(population)).all()


def test_each_bad_number_in_each_column_makes_its_row_alone_invalid():
    check, (low, high) = opportunity_check(WORLD), bounds(
        weekly_features(WORLD) + opportunity_features(WORLD)
    )  # fmt: skip
    assert check.valid(np.stack([low, high])).all()
    obs = opportunity_observation(Population(WORLD, 3))
    for column, name in enumerate(columns(WORLD)):
        for value in (np.nan, np.inf, -np.inf, np.nextafter(high[column], np.float32(np.inf))):
            changed = obs.copy()
            changed[1, column] = value
            assert check.valid(changed).tolist() == [True, False, True]
            assert check.fault(changed[1]).startswith(f"{name} = ")


@pytest.mark.parametrize("value", BAD)
def test_a_bad_observation_is_refused_by_predict_and_nothing_is_kept(value):
    agents = [SlowFastAgent(Listening(WORLD), PacedExecutor()).learn(WORLD) for _ in range(2)]
    population = Population(WORLD, 4)
    generator = np.random.default_rng(0)
    for _ in range(3):
        obs, ids, now = opportunity_observation(population), population.members, population.now
        bad = obs.copy()
        bad[2, 0] = value
        with pytest.raises(ValueError, match="the observation of member 2 has viewing_days"):
            agents[0].predict(bad, entity_ids=ids, now=now)
        actions = [agent.predict(obs, entity_ids=ids, now=now)[0] for agent in agents]
        assert_array_equal(*actions)
        for _ in range(WORLD.slots_per_week):
            population.step(generator.integers(0, 2, 4))
    told = [agent.slow.told for agent in agents]
    assert told[0].keys() == told[1].keys()
    for key, row in told[0].items():
        assert_array_equal(row, told[1][key])
        assert np.isfinite(row).all()


@pytest.mark.parametrize(
    ("now", "message"),
    [
        (2**62, f"now is {2**62}; allowed is 0 to {LATEST} s"),
        ([0, -5], "now is -5"),
        (np.array([0, 2**63], np.uint64), "now is uint64"),
    ],
)
def test_a_time_beyond_the_horizon_is_refused_by_predict(now, message):
    agent = SlowFastAgent(Listening(WORLD), PacedExecutor()).learn(WORLD)
    obs = opportunity_observation(Population(WORLD, 2))
    with pytest.raises(ValueError, match=message):
        agent.predict(obs, entity_ids=[0, 1], now=now)
    assert agent.slow.told == {}
    agent.predict(obs, entity_ids=[0, 1], now=LATEST)


@pytest.mark.parametrize("value", BAD)
def test_beliefs_refuse_a_bad_observation_whole_batch_and_stay_as_they_are(value):
    memory, twin = (BeliefMemory(BeliefFilter(WORLD)) for _ in range(2))
    population = Population(WORLD, 3)
    observations, ids = weekly_observation(population), population.members
    for week in range(3):
        bad = observations.copy()
        bad[1, columns(WORLD)["push_opens_last_week"]] = value
        with pytest.raises(ValueError, match="member 1 has push_opens_last_week"):
            memory.take_in(ids, np.full(3, week), bad)
        for each in (memory, twin):
            each.take_in(ids, np.full(3, week), observations)
        assert_array_equal(memory.belief_observation(ids), twin.belief_observation(ids))


def test_beliefs_stay_finite_whatever_valid_observations_say():
    low, high = bounds(weekly_features(WORLD))
    memory, generator = BeliefMemory(BeliefFilter(WORLD)), np.random.default_rng(0)
    ids = np.arange(300)
    for week in range(1, 40):
        share = generator.choice([0, 1, 0.5, 0.123], (300, len(low)))
        observations = (low + share * (high - low)).astype(np.float32)
        memory.take_in(ids, np.full(300, week), observations)
    assert np.isfinite(memory.belief_observation(ids)).all()
    BeliefMemory(BeliefFilter(WORLD)).restore(memory.state())  # checks the ranges of all tables


def test_members_that_have_left_are_forgotten_by_predict_and_their_room_is_used_again():
    agent = SlowFastAgent(Listening(WORLD), PacedExecutor()).learn(WORLD)
    obs = opportunity_observation(Population(WORLD, 100))
    agent.forget([5])  # before anything is known
    for first in range(0, 5000, 100):
        ids = np.arange(first, first + 100)
        agent.predict(obs, entity_ids=ids, now=0)
        agent.forget(ids)
        agent.forget([2**40])
    predictor = agent._predictor
    assert len(predictor.memory) == 0
    assert len(predictor.memory._blocks) == 1
    assert predictor.reader._memory.index.items()[0].size == 0
    with pytest.raises(ValueError, match="entity id -1"):
        agent.forget([-1])


def test_who_was_not_observed_since_a_week_is_forgotten_and_nobody_else():
    memory = BeliefMemory(BeliefFilter(WORLD))
    observations = weekly_observation(Population(WORLD, 4))
    memory.take_in(np.arange(4), np.zeros(4, np.int64), observations)
    memory.take_in(np.arange(2), np.full(2, 7), observations[:2])
    assert memory.forget_unobserved(since=0).tolist() == []
    assert memory.forget_unobserved(since=7).tolist() == [2, 3]
    assert len(memory) == 2
    assert memory.state()["ids"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("tables.sensitivity", np.nan, "tables.sensitivity = nan"),
        ("tables.base", np.inf, "tables.base = inf"),
        ("tables.habit", 7.0, "tables.habit = 7; allowed is 0 to"),
        ("tables.response", -0.5, "tables.response = -0.5"),
        ("weeks", -1, "weeks = -1"),
        ("weeks", 2**60, "weeks ="),
        ("ids", -3, "entity id -3"),
        ("ids", 1, "entity id 1 comes twice"),
    ],
)
def test_beliefs_that_no_filter_can_hold_are_not_restored(name, value, message):
    memory = BeliefMemory(BeliefFilter(WORLD))
    population = Population(WORLD, 3)
    memory.take_in(population.members, np.ones(3, np.int64), weekly_observation(population))
    before = memory.belief_observation(population.members)
    arrays = memory.state()
    arrays[name].flat[0] = value
    with pytest.raises(ValueError, match=message):
        memory.restore(arrays)
    assert_array_equal(memory.belief_observation(population.members), before)


@pytest.mark.parametrize(("compact", "limit"), [(False, 2600), (True, 1450)])
def test_a_member_more_costs_the_bytes_of_its_tables_and_no_more(compact, limit):
    """Measured as the growth of traced memory, peaks included, between two sizes."""
    observations = weekly_observation(Population(WORLD, 2000))
    peaks = []
    for size in (4000, 24_000):
        memory = BeliefMemory(BeliefFilter(WORLD), compact=compact)
        tracemalloc.start()
        for first in range(0, size, 2000):
            memory.take_in(np.arange(first, first + 2000), np.ones(2000, np.int64), observations)
            memory.belief_observation(np.arange(first, first + 2000))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert (peaks[1] - peaks[0]) / 20_000 < limit


def test_compact_beliefs_are_the_exact_ones_to_the_third_digit():
    population = Population(WORLD, 300, 3, 3)
    exact, compact = (BeliefMemory(BeliefFilter(WORLD), compact=c) for c in (False, True))
    generator, ids = np.random.default_rng(0), population.members
    for week in range(53):
        for memory in (exact, compact):
            memory.take_in(ids, np.full(300, week), weekly_observation(population))
        target = WORLD.plans[generator.integers(0, len(WORLD.plans), 300)]
        default_executor().run_week(population, target)
    one, other = (memory.belief_observation(ids) for memory in (exact, compact))
    spread = one.std(axis=0)
    error = (np.abs(one - other) / np.maximum(spread, 1e-6))[:, spread > 1e-6]
    assert error.mean() < 0.001  # of the spread between members
    assert np.quantile(error, 0.999) < 0.02
    assert error.max() > 0
