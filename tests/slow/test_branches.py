"""Members of all ages, and the same luck under every plan."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from slowfast_rl.members.beliefs import BeliefFilter
from slowfast_rl.members.population import Population
from slowfast_rl.members.workers import use_workers
from slowfast_rl.policies import default_executor
from slowfast_rl.policies.contracts import BasePlanner
from slowfast_rl.policies.guard import feasible_target
from slowfast_rl.policies.plan_exchange import plan_request, plans_of_planner
from slowfast_rl.slow import FixedPlanner
from slowfast_rl.slow.branches import advance_population, branched_returns, feasible_sample
from tests.envs.planners import VariedPlanner
from tests.members.populations import check_same
from tests.members.test_workers import CopyingWorkers
from tests.members.worlds import world
from tests.slow.cases import patterns

SLOTS = 21


class Recorder(BasePlanner):
    """The safe plan for everyone; notes each call's weeks and members."""

    name = "recorder"

    def __init__(self, w):
        super().__init__()
        self.planner, self.calls = FixedPlanner(w, w.safe_plan), []

    def plan(self, asked):
        self.calls.append((asked.weeks.copy(), asked.entity_ids.copy()))
        return self.planner.plan(asked)


def settled(name="eventful", size=30, weeks=2, seed=4):
    """Members in their third week."""
    population = Population(world(name), size, seed, seed)
    for _ in range(weeks):
        default_executor().run_week(population, np.full((size, 2), 4, np.int32))
    return population


def some_plans(population, count=4, seed=0):
    feasible = plan_request(population).feasible
    return feasible_sample(feasible, count, torch.Generator().manual_seed(seed))


def returns_of(population, plans, planner=None, hold=2, horizon=4, played=lambda _: None):
    planner = planner or FixedPlanner(population.world, (3, 1))
    return branched_returns(population, plans, planner, default_executor(), hold, horizon, played)


class TestBranches:
    """What plans bring on the same luck."""

    def test_branches_of_a_member_with_equal_plans_return_the_same(self):
        population = settled()
        one = some_plans(population, 1)
        returns = returns_of(population, np.repeat(one, 5, axis=1))
        assert_array_equal(returns, np.repeat(returns[:, :1], 5, axis=1))
        assert len(np.unique(returns[:, 0])) > 20

    def test_returns_are_those_of_the_member_living_on_alone_under_that_plan(self):
        population = settled()
        w, planner = population.world, VariedFeasible(population.world)
        plans = some_plans(population)
        returns = returns_of(population, plans, planner)
        for branch in range(plans.shape[1]):
            living, expected = population.clone(), np.zeros(population.num_members)
            for week in range(4):
                now = plans[:, branch] if week < 2 else plans_of_planner(living, planner)
                target = feasible_target(w.plans[now], living.opted_in)
                brought = default_executor().run_week(living, target)
                expected += w.reward.weekly_discount**week * brought.reward
            assert_array_equal(returns[:, branch], expected)

    def test_a_members_branches_do_not_depend_on_who_else_is_branched(self):
        population = settled()
        plans, rows = some_plans(population), np.array([21, 3, 8])
        alone = returns_of(population.take(rows), plans[rows])
        assert_array_equal(alone, returns_of(population, plans)[rows])

    def test_the_members_stay_where_they_are(self):
        population = settled()
        before = population.clone()
        returns_of(population, some_plans(population))
        check_same(before, population)

    @pytest.mark.parametrize(("hold", "horizon"), [(1, 1), (1, 4), (3, 4), (4, 4), (9, 2)])
    def test_the_planner_takes_over_after_the_plan_was_held_and_until_the_horizon(
        self, hold, horizon
    ):
        population, counts = settled(), []
        recorder, plans = Recorder(population.world), some_plans(population)
        returns_of(population, plans, recorder, hold, horizon, counts.append)
        weeks = [set(weeks.tolist()) for weeks, _ in recorder.calls]
        assert weeks == [{2 + week} for week in range(hold, horizon)]
        assert counts == [plans.size * SLOTS] * horizon

    def test_the_planner_is_not_asked_for_the_churned(self):
        population = settled(size=60, weeks=4)
        recorder, dead = Recorder(population.world), ~population.alive
        assert 3 < dead.sum() < 57
        plans = np.zeros((60, 3), np.int64)
        returns = returns_of(population, plans, recorder, hold=1, horizon=2)
        ((_, asked_for),) = recorder.calls
        assert max(Counter(asked_for.tolist()).values()) == 3
        assert not set(asked_for.tolist()) & set(population.members[dead].tolist())
        assert not returns[dead].any()

    def test_what_churned_is_planned_for_with_plan_0(self):
        population = settled(size=60, weeks=4)
        plans = plans_of_planner(population, FixedPlanner(population.world, (14, 7)))
        assert not plans[~population.alive].any()
        reached = population.alive & population.opted_in.any(axis=1)
        assert plans[reached].all()

    def test_branches_carry_their_members_beliefs(self):
        w = world("pronounced")
        population = Population(w, 10, belief_filter=BeliefFilter(w))
        default_executor().run_week(population, np.full((10, 2), 7, np.int32))
        believed, seen = population.beliefs.observations(), []

        class Curious(Recorder):
            belief_filter, privileged = population.beliefs.filter, False

            def plan(self, asked):
                seen.append(asked.beliefs)
                return super().plan(asked)

        returns_of(population, np.zeros((10, 3), np.int64), Curious(w), hold=1, horizon=2)
        assert_array_equal(seen[0][0::3], seen[0][1::3])
        assert (seen[0][::3] != believed).any(axis=1).all()


class VariedFeasible(VariedPlanner):
    """Plans differ by member and week, and are feasible."""

    def plan(self, asked):
        wanted = super().plan(asked)
        rows = np.arange(len(wanted))
        return np.where(asked.feasible[rows, wanted], wanted, 0)


class TestSample:
    """Plans to try."""

    @given(
        codes=st.lists(st.integers(0, 3), min_size=1, max_size=20),
        count=st.integers(1, 80),
        seed=st.integers(0, 2**32 - 1),
    )
    def test_plans_are_feasible_and_differ_unless_there_are_too_few(self, codes, count, seed):
        feasible = request_mask(codes)
        plans = feasible_sample(feasible, count, torch.Generator().manual_seed(seed))
        assert plans.shape == (len(codes), count)
        assert plans.dtype == np.int64
        for row, allowed in zip(plans, feasible, strict=True):
            assert allowed[row].all()
            times = np.bincount(row, minlength=63)[allowed]
            assert times.max() - times.min() <= 1

    def test_every_feasible_plan_has_the_same_chance(self):
        feasible = np.tile(request_mask([1]), (6000, 1))
        plans = feasible_sample(feasible, 3, torch.Generator().manual_seed(1))
        counts = np.bincount(plans.ravel(), minlength=63)[feasible[0]]
        assert len(counts) == 9
        assert np.abs(counts - 2000).max() < 4.5 * 2000**0.5

    def test_another_seed_gives_other_plans(self):
        feasible = request_mask([3] * 20)
        one, again, other = (
            feasible_sample(feasible, 5, torch.Generator().manual_seed(s)) for s in (1, 1, 2)
        )
        assert_array_equal(one, again)
        assert not np.array_equal(one, other)


def request_mask(codes):
    """[B, 63] feasible plans of `pronounced` by opt-in pattern."""
    opted_in = patterns(2)[codes]
    return np.array([[(t <= 14 * f).all() for t in world("pronounced").plans] for f in opted_in])


def live_some(population, planner=None, **changes):
    told = []
    chosen = {"weeks": 6, "ages": 6, "random_share": 0.3, "seed": 5}
    planner = planner or FixedPlanner(population.world, (3, 1))
    advance_population(
        population, planner, default_executor(), **chosen | changes, played=told.append
    )
    return told


class TestLivingOn:
    """Members as they live under the present policy."""

    def test_after_as_many_weeks_members_are_of_all_ages_alike(self):
        population = Population(world("deathless"), 24)
        live_some(population)
        assert_array_equal(np.bincount(population.weeks), [4] * 6)
        for _ in range(2):
            live_some(population, weeks=5)
            assert_array_equal(np.bincount(population.weeks), [4] * 6)

    def test_with_ages_of_one_week_everyone_is_new(self):
        population = Population(world("pronounced"), 10)
        live_some(population, weeks=3, ages=1)
        assert_array_equal(population.weeks, 0)
        assert_array_equal(population.episodes, 3)

    def test_who_churns_is_replaced_and_who_does_not_lives_until_its_age(self):
        population = Population(world("eventful"), 100)
        live_some(population, weeks=12)
        assert population.alive.all()
        assert population.weeks.max() == 5
        assert population.episodes.min() >= 2
        assert population.episodes.max() > 2  # more than the two lives of full length

    def test_every_week_is_counted(self):
        assert live_some(Population(world("pronounced"), 10), weeks=5) == [10 * SLOTS] * 5

    def test_without_random_plans_members_live_under_the_planner_alone(self):
        w = world("deathless")
        population, expected = Population(w, 12), Population(w, 12)
        live_some(population, weeks=3, ages=50, random_share=0)
        population.restart(np.flatnonzero(population.episodes == 0))
        for week in range(3):
            target = feasible_target(np.tile([3, 1], (12, 1)).astype(np.int32), expected.opted_in)
            default_executor().run_week(expected, target)
            expected.restart(np.array([week]))
        expected.restart(np.flatnonzero(expected.episodes == 0))
        check_same(expected, population)

    def test_with_random_plans_alone_the_planner_does_not_matter(self):
        simulation = []
        for plan in ((0, 0), (14, 7)):
            simulation.append(Population(world("eventful"), 12))
            live_some(simulation[-1], FixedPlanner(simulation[-1].world, plan), random_share=1)
        check_same(*simulation)

    def test_a_share_of_member_weeks_is_random(self):
        population, sent = Population(world("deathless"), 500), []
        w = population.world
        for _ in range(4):
            live_some(population, FixedPlanner(w, (0, 0)), weeks=1, ages=60, random_share=0.3)
            free = (population.weeks > 0) & population.opted_in.all(axis=1)
            sent.append((population.last_week().sends.sum(axis=1) > 0)[free].mean())
        assert np.mean(sent) == pytest.approx(0.3 * 62 / 63, abs=0.05)

    def test_another_seed_draws_other_random_plans(self):
        simulation = []
        for seed in (5, 5, 6):
            simulation.append(Population(world("eventful"), 12))
            live_some(simulation[-1], seed=seed)
        check_same(*simulation[:2])
        assert not np.array_equal(
            simulation[0].simulation.log.by_channel, simulation[2].simulation.log.by_channel
        )


@pytest.mark.parametrize("size", [1, 7])
def test_neither_branches_nor_members_of_all_ages_depend_on_how_rows_are_divided(size, monkeypatch):
    population = settled()
    plans, planner = some_plans(population), VariedFeasible(population.world)
    whole, returns = advanced(population, planner), returns_of(population, plans, planner)

    def divided(count):
        return [slice(first, first + size) for first in range(0, count, size)]

    monkeypatch.setattr("slowfast_rl.slow.branches.row_shards", divided)
    with use_workers(CopyingWorkers()):
        check_same(advanced(population, planner), whole)
        assert_array_equal(returns_of(population, plans, planner), returns)
    assert (whole.episodes > 0).any()


def advanced(population, planner):
    other = population.clone()
    advance_population(
        other, planner, default_executor(), weeks=6, ages=5, random_share=0.5, seed=2,
        played=lambda _: None,
    )  # fmt: skip
    return other
