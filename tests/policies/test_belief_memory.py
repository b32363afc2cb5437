"""Served members are believed to be what a population that keeps beliefs itself believes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from slowfast_rl.agents import SlowFastAgent
from slowfast_rl.envs import MessagingVectorEnv
from slowfast_rl.fast import PacedExecutor
from slowfast_rl.members.beliefs import BeliefFilter, Beliefs
from slowfast_rl.members.observations import opportunity_observation, weekly_observation
from slowfast_rl.members.population import Population
from slowfast_rl.policies import PlanSource, default_executor
from slowfast_rl.policies.belief_memory import BeliefMemory
from slowfast_rl.policies.contracts import BasePlanner
from slowfast_rl.slow import FixedPlanner
from slowfast_rl.store import InMemoryFeatureStore
from tests.agents.cases import live
from tests.members.worlds import world
from tests.slow.cases import small_world
from tests.slow.planners import random_rollouts
from tests.store.faults import Faults, FaultyStore


def believing(name="eventful", size=30):
    w = world(name)
    return Population(w, size, 4, 4, belief_filter=BeliefFilter(w))


def live_a_week(population, seed):
    generator, plans = np.random.default_rng(seed), population.world.plans
    target = plans[generator.integers(0, len(plans), population.num_members)]
    default_executor().run_week(population, target)


def seen(memory, entity_ids, weeks, observations):
    memory.take_in(entity_ids, weeks, observations)
    return memory.belief_observation(entity_ids)


def look(memory, population, rows=slice(None)):
    """What is believed of some rows' members."""
    return seen(
        memory,
        population.members[rows],
        population.weeks[rows].astype(np.int64),
        weekly_observation(population)[rows],
    )


@pytest.mark.parametrize("name", ["eventful", "in_app", "two_type"])
def test_members_seen_every_week_are_believed_what_their_population_believes(name):
    population = believing(name)
    memory = BeliefMemory(population.beliefs.filter)
    for week in range(5):
        for _ in range(2):  # a week's counts are taken in once, however often one looks
            expected = population.beliefs.observations()[population.alive]
            assert_array_equal(look(memory, population, population.alive), expected)
        live_a_week(population, week)
    assert population.alive.sum() > 10


def test_members_may_come_in_any_order_and_any_batches():
    population = believing("deathless")
    memory, generator = BeliefMemory(population.beliefs.filter), np.random.default_rng(0)
    for week in range(4):
        rows = generator.permutation(30)
        for batch in np.split(rows, [7, 8, 20]):
            expected = population.beliefs.observations()[batch]
            assert_array_equal(look(memory, population, batch), expected)
        live_a_week(population, week)


def test_more_members_than_there_was_room_for_change_nothing_of_those_known():
    population = believing("deathless", 3000)
    memory = BeliefMemory(population.beliefs.filter)
    for week in range(3):
        for size in (1, 10, 500, 3000):
            rows = slice(0, size) if week == 0 else slice(None)
            assert_array_equal(
                look(memory, population, rows), population.beliefs.observations()[rows]
            )
        live_a_week(population, week)


def test_ids_far_apart_have_their_beliefs_too():
    population = believing("deathless")
    memory = BeliefMemory(population.beliefs.filter)
    ids = np.arange(30) ** 9 * 10**4 + 3
    for week in range(3):
        weeks = population.weeks.astype(np.int64)
        believed = seen(memory, ids, weeks, weekly_observation(population))
        assert_array_equal(believed, population.beliefs.observations())
        live_a_week(population, week)


def test_whoever_is_forgotten_is_new_and_the_others_are_not():
    population = believing("deathless")
    memory = BeliefMemory(population.beliefs.filter)
    for week in range(3):
        look(memory, population)
        live_a_week(population, week)
    before = look(memory, population)
    fresh = Population(population.world, 30, 9, 9)
    memory.forget(population.members[5:9])
    memory.forget(np.array([10**9]))  # nobody
    prior = Beliefs(population.beliefs.filter, 4).observations()
    again = seen(
        memory, population.members[5:9], np.zeros(4, np.int64), weekly_observation(fresh)[5:9]
    )
    assert_array_equal(again, prior)
    others = np.delete(np.arange(30), range(5, 9))
    assert_array_equal(look(memory, population, others), before[others])
    stranger = seen(memory, np.array([77]), np.zeros(1, np.int64), weekly_observation(fresh)[:1])
    assert_array_equal(stranger, prior[:1])


def test_of_who_is_first_seen_late_the_last_weeks_counts_are_believed():
    population = believing("deathless")
    for week in range(4):
        live_a_week(population, week)
    memory = BeliefMemory(population.beliefs.filter)
    observations = weekly_observation(population)
    expected = Beliefs(population.beliefs.filter, 30)
    expected.update_from_observations(observations)
    believed = look(memory, population)
    assert_array_equal(believed, expected.observations())
    assert not np.array_equal(believed, population.beliefs.observations())


def test_a_week_in_which_a_member_is_not_seen_is_lost_and_no_other():
    population = believing("deathless")
    memory = BeliefMemory(population.beliefs.filter)
    expected = Beliefs(population.beliefs.filter, 30)
    for week in range(5):
        if week != 2:
            believed = look(memory, population)
            if week:
                expected.update_from_observations(weekly_observation(population))
            assert_array_equal(believed, expected.observations())
        live_a_week(population, week)


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["look", "forget"]),
            st.lists(st.integers(0, 40), unique=True, max_size=12),
            st.integers(0, 4),
        ),
        max_size=12,
    )
)
def test_any_sequence_of_calls_agrees_with_a_plain_dict(calls):
    w = world("pronounced")
    population = Population(w, 41)
    live_a_week(population, 0)
    observations, plain = weekly_observation(population), {}
    memory = BeliefMemory(BeliefFilter(w))
    for call, members, week in calls:
        ids = np.array(members, np.int64)
        if call == "forget":
            memory.forget(ids)
            for member in members:
                plain.pop(member, None)
            continue
        believed = seen(memory, ids, np.full(len(ids), week), observations[ids])
        for row, member in zip(believed, members, strict=True):
            beliefs, until = plain.get(member) or (Beliefs(BeliefFilter(w), 1), max(week - 1, 0))
            if until < week:
                beliefs.update_from_observations(observations[[member]])
            plain[member] = beliefs, max(until, week)
            assert_array_equal(row, beliefs.observations()[0])


class Listening(BasePlanner):
    """A fixed plan; notes the beliefs that it is told, by (member, week)."""

    name, policy_version = "listening", 1

    def __init__(self, w):
        super().__init__()
        self.planner, self.belief_filter = FixedPlanner(w, (3, 2)), BeliefFilter(w)
        self.told = {}

    def plan(self, request):
        for member, week, row in zip(
            request.entity_ids, request.weeks, request.beliefs, strict=True
        ):
            self.told.setdefault((int(member), int(week)), row.copy())
        return self.planner.plan(request)


def test_a_served_planner_is_told_what_it_is_told_in_the_environment():
    w, store = world("eventful"), InMemoryFeatureStore()
    inside, served = Listening(w), Listening(w)
    agent = SlowFastAgent(served, PacedExecutor(), InMemoryFeatureStore()).learn(w)
    env = MessagingVectorEnv(20, w, weeks=3, plan_source=PlanSource(inside, store))
    live(agent, env, 7)  # some weeks past the first episodes' end
    common = served.told.keys() & inside.told.keys()
    assert common == served.told.keys()
    assert len(common) > 100
    assert max(week for _, week in common) == 2
    for key in common:
        assert_array_equal(served.told[key], inside.told[key])


def test_no_week_is_lost_while_the_store_is_away():
    w = world("deathless")
    served, population = Listening(w), believing("deathless", 10)
    store = FaultyStore(InMemoryFeatureStore(), Faults(fail_reads=True))
    agent = SlowFastAgent(served, PacedExecutor(), store).learn(w)
    for week in range(4):
        store.faults = Faults(fail_reads=week < 3)
        ids, now = population.members, population.now
        agent.predict(opportunity_observation(population), entity_ids=ids, now=now)
        if week < 3:
            live_a_week(population, week)
    assert {week for _, week in served.told} == {3}
    for i, row in enumerate(population.beliefs.observations()):
        assert_array_equal(served.told[i, 3], row)


def test_an_id_that_comes_twice_is_refused_before_anything_is_believed():
    w = world("pronounced")
    agent = SlowFastAgent(Listening(w), PacedExecutor()).learn(w)
    obs = opportunity_observation(Population(w, 3))
    for ids, message in (([0, 1, 1], "entity id 1 comes twice"), ([0, 1, -1], "entity id -1")):
        with pytest.raises(ValueError, match=message):
            agent.predict(obs, entity_ids=ids, now=0)
    assert agent.slow.told == {}
    agent.predict(obs, entity_ids=[0, 1, 2], now=0)
    assert len(agent.slow.told) == 3
    with pytest.raises(ValueError, match="entity id 1 comes twice"):  # though all have plans
        agent.predict(obs, entity_ids=[0, 1, 1], now=0)


def test_a_planner_without_beliefs_needs_no_memory():
    assert FixedPlanner(world("pronounced"), (1, 1)).belief_filter is None
    assert random_rollouts(small_world(), beliefs=False).belief_filter is None
