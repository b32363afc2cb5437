from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from slowfast_rl.evaluation import EvaluationProtocol, Twins
from slowfast_rl.evaluation.protocol import burned_in
from slowfast_rl.fast import AffinityRanker, PacedExecutor
from slowfast_rl.fast.affinity import Weights
from slowfast_rl.members.beliefs import BeliefFilter, Beliefs
from slowfast_rl.members.loading import load_world
from slowfast_rl.members.observations import privileged_observation, weekly_observation
from slowfast_rl.policies import default_executor
from slowfast_rl.policies.contracts import BasePlanner
from slowfast_rl.policies.guard import feasible_target
from slowfast_rl.slow import DealtPlanner, FixedPlanner, RandomPlanner
from slowfast_rl.store import InMemoryFeatureStore
from tests.agents.cases import untrained_agent
from tests.evaluation.cases import TINY, AlternatingPlanner, small_world, twins
from tests.store.faults import Faults, FaultyStore


def assert_same(one, other):
    assert_array_equal(one.returns, other.returns)
    for name, sums in one.weekly.items():
        assert_array_equal(sums, other.weekly[name], err_msg=name)


def test_the_same_agent_twice_lives_the_same_lives_whoever_was_evaluated_in_between():
    agent = untrained_agent(small_world())
    first = twins().rollout(agent.slow, agent.fast)
    twins().rollout(RandomPlanner(1))
    assert_same(first, twins().rollout(agent.slow, agent.fast))


def test_a_rollout_of_a_fixed_plan_is_what_the_executor_brings_by_hand():
    w, plan = small_world(), np.array([5, 1], np.int32)
    returns, sends, living = np.zeros(32), 0, []
    for stream in TINY.streams:
        population = burned_in(w, TINY, stream)
        for week in range(TINY.weeks):
            living.append(population.alive.sum())
            target = feasible_target(np.tile(plan, (32, 1)), population.opted_in)
            brought = default_executor().run_week(population, target)
            returns += 0.98**week * brought.reward / 2
            sends += brought.sends.sum(axis=0)
    rollout = twins().rollout(FixedPlanner(w, (5, 1)))
    assert_allclose(rollout.returns, returns, rtol=1e-12)
    assert_array_equal(rollout.weekly["sends"].sum(axis=(0, 1)), sends)
    assert rollout.weekly["alive"].sum() == sum(living)
    assert rollout.weekly["alive"].shape == (TINY.weeks, 3)
    assert (rollout.lucks, rollout.fallbacks, rollout.vetoed, rollout.refused_writes) == (
        2,
        0,
        0,
        0,
    )


class Curious(BasePlanner):
    """A fixed plan of the world; notes the beliefs and latents that it is told."""

    name = "curious"

    def __init__(self, w, belief_filter, privileged=False):
        super().__init__()
        self.planner = FixedPlanner(w, (5, 1))
        self.belief_filter, self.privileged, self.told = belief_filter, privileged, []

    def plan(self, asked):
        self.told.append((asked.beliefs, asked.latents))
        return self.planner.plan(asked)


@pytest.mark.parametrize("privileged", [False, True])
def test_a_curious_planner_takes_over_with_what_the_burn_in_told(privileged):
    w = small_world()
    planner = Curious(w, BeliefFilter(w), privileged)
    rollout = twins().rollout(planner)
    for luck, stream in enumerate(TINY.streams):
        start = burned_in(w, TINY, stream, belief_filter=BeliefFilter(w))
        beliefs, latents = planner.told[luck * TINY.weeks]
        assert_array_equal(beliefs, start.beliefs.observations()[start.alive])
        if privileged:
            assert_array_equal(latents, privileged_observation(start)[start.alive])
        else:
            assert latents is None
        prior = Beliefs(BeliefFilter(w), 1).observations()
        assert (beliefs != prior).any(axis=1).all()
    assert_same(rollout, twins().rollout(FixedPlanner(w, (5, 1))))


def test_members_with_beliefs_start_anew_for_every_planner():
    w, members = small_world(), Twins(small_world(), TINY)
    planners = [Curious(w, BeliefFilter(w)) for _ in range(2)]
    for planner in planners:
        members.rollout(planner)
        members.rollout(RandomPlanner(1))
    for one, other in zip(*(planner.told for planner in planners), strict=True):
        assert_array_equal(one[0], other[0])


def test_each_planner_gets_the_beliefs_of_its_own_filter():
    w, members = small_world(), Twins(small_world(), TINY)
    shifted = load_world("pronounced", {"fatigue.decay_days": 30})
    right, wrong, again = (Curious(w, BeliefFilter(v)) for v in (w, shifted, w))
    for planner in (right, wrong, again):
        members.rollout(planner)
    assert not np.array_equal(right.told[0][0], wrong.told[0][0])
    assert_array_equal(right.told[0][0], again.told[0][0])


def test_under_the_first_luck_alone_beliefs_are_those_of_the_first_luck():
    w = small_world()
    quick, whole = (Curious(w, BeliefFilter(w)) for _ in range(2))
    twins().few(TINY.num_members).rollout(quick)
    twins().rollout(whole)
    for (one, _), (other, _) in zip(quick.told, whole.told[: TINY.weeks], strict=True):
        assert_array_equal(one, other)


def test_the_burn_in_is_no_part_of_the_return():
    w = load_world("pronounced", {"reward.message_cost": 1000})
    costly = Twins(w, replace(TINY, weeks=1))
    never = costly.rollout(FixedPlanner(w, (0, 0))).returns
    assert (never > -20).all()  # sends of the burn-in would cost thousands
    assert costly.rollout(FixedPlanner(w, (1, 1))).returns.min() < -500


def test_a_churned_member_stays_in_with_nothing():
    w = load_world("pronounced", {"churn.floor": 1, "churn.scale": 0})
    rollout = Twins(w, replace(TINY, burn_in=0)).rollout(FixedPlanner(w, (5, 2)))
    assert_array_equal(rollout.weekly["alive"].sum(axis=1), [64, 0, 0, 0, 0, 0])
    assert_array_equal(rollout.weekly["churned"].sum(axis=1), [64, 0, 0, 0, 0, 0])
    for name, sums in rollout.weekly.items():
        assert not sums[1:].any(), name
    assert_allclose(rollout.returns.sum() * 2, rollout.weekly["reward"][0].sum())
    gone = Twins(w, TINY).rollout(FixedPlanner(w, (5, 2)))
    assert_array_equal(gone.returns, 0)


def test_returns_are_the_mean_over_lucks_which_differ():
    w, planner = small_world(), FixedPlanner(small_world(), (2, 1))
    first, second = (
        Twins(w, replace(TINY, streams=(s,))).rollout(planner).returns for s in TINY.streams
    )
    assert not np.array_equal(first, second)
    assert_allclose(twins().rollout(planner).returns, (first + second) / 2)


def test_few_twins_are_the_first_members_under_the_first_luck():
    planner = AlternatingPlanner()
    alone = Twins(small_world(), replace(TINY, streams=(0,), num_members=8))
    quick = twins().few(8)
    assert quick.protocol == alone.protocol
    assert_array_equal(quick.rollout(planner).returns, alone.rollout(planner).returns)
    whole = twins().rollout(planner)
    assert_array_equal(quick.rollout(planner).returns, whole.luck_returns[0, :8])
    assert twins().few(10**6).protocol.num_members == TINY.num_members


def test_weekly_rewards_and_chosen_plans_add_up_to_the_sums_by_segment():
    rollout = twins().rollout(AlternatingPlanner())
    assert rollout.rewards.shape == (TINY.weeks, TINY.num_members)
    sums = rollout.weekly["reward"].sum(axis=1) / rollout.lucks
    assert_allclose(rollout.rewards.sum(axis=1), sums, rtol=1e-5)
    assert_array_equal(rollout.plan_counts.sum(axis=1), rollout.weekly["alive"].sum(axis=0))
    assert rollout.plan_counts[:, 0].sum() == rollout.weekly["alive"][::2].sum()  # even weeks
    discount = small_world().reward.weekly_discount ** np.arange(TINY.weeks)
    assert_allclose(discount @ rollout.rewards, rollout.returns, rtol=1e-4)


def test_sampled_observations_are_those_of_the_first_week_and_of_living_members():
    rollout = twins().rollout(AlternatingPlanner())
    start = twins().starts[0]
    assert_array_equal(rollout.observations, weekly_observation(start)[start.alive])
    assert_array_equal(rollout.observed_plans, 0)  # an even week


def test_every_luck_has_a_store_of_its_own():
    stores = []

    def make():
        stores.append(InMemoryFeatureStore())
        return stores[-1]

    twins().rollout(AlternatingPlanner(), store_factory=make)
    assert len(stores) == 2
    for store in stores:
        (ids,) = (v for k, v in store.snapshot().arrays.items() if k.endswith("entity_ids"))
        assert len(ids) > 20


@pytest.mark.parametrize("faults", [Faults(drop_writes=True), Faults(fail_reads=True)], ids=str)
def test_without_a_single_plan_coming_through_everyone_lives_by_the_safe_plan(faults):
    w = replace(small_world(), safe_plan=(2, 1))
    members = Twins(w, TINY)
    expected = members.rollout(FixedPlanner(w, (2, 1)))
    lost = members.rollout(
        FixedPlanner(w, (5, 0)),
        store_factory=lambda: FaultyStore(InMemoryFeatureStore(), faults),
    )
    assert_array_equal(lost.returns, expected.returns)
    assert lost.fallbacks == lost.weekly["alive"].sum()
    assert lost.mid_week_plan_changes == 0


def test_changes_of_plan_are_counted_among_the_living():
    w = small_world()
    steady, restless = (
        twins().rollout(FixedPlanner(w, (2, 1))),
        twins().rollout(AlternatingPlanner()),
    )
    opted_out = steady.weekly["opt_outs"].sum()
    assert steady.weekly["plan_changes"].sum() <= opted_out + 5  # and some opt in again
    assert not restless.weekly["plan_changes"][0].any()
    assert restless.weekly["plan_changes"][1:].sum() > 0.9 * restless.weekly["alive"][1:].sum()


def test_an_executor_changes_lives_and_the_default_one_by_name_does_not():
    planner = FixedPlanner(small_world(), (5, 1))
    assert_same(twins().rollout(planner), twins().rollout(planner, PacedExecutor()))
    other = PacedExecutor(ranker=AffinityRanker.with_weights(Weights(4, -1, 0, 0, 0, 0)))
    assert twins().rollout(planner, other).returns.mean() < twins().rollout(planner).returns.mean()


def test_dealt_plans_send_as_much_in_the_first_week_as_the_plans_they_were_dealt_from():
    agent = untrained_agent(small_world())
    planner = RandomPlanner(2)
    own = twins(protocol=EvaluationProtocol(200, 2, 1, streams=(0,))).rollout(planner, agent.fast)
    dealt = twins(protocol=EvaluationProtocol(200, 2, 1, streams=(0,))).rollout(
        DealtPlanner(planner, 7), agent.fast
    )
    sends = [r.weekly["sends"][0].sum(axis=0) + r.weekly["opt_outs"][0].sum() for r in (own, dealt)]
    assert_allclose(sends[0], sends[1], atol=8)  # those who left in mid-week get less
    assert not np.array_equal(own.returns, dealt.returns)
