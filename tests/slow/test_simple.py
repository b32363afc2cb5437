from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from slowfast_rl.members.beliefs import BeliefFilter
from slowfast_rl.members.population import Population
from slowfast_rl.members.random import Domain
from slowfast_rl.policies.contracts import BasePlanner
from slowfast_rl.policies.plan_exchange import plan_request
from slowfast_rl.slow import DealtPlanner, FixedPlanner, PerMemberPlanner, RandomPlanner
from slowfast_rl.slow.simple import safe_planner
from tests.members.worlds import world
from tests.slow.cases import patterns, requests, small_world

NAMES = ["pronounced", "in_app"]


@pytest.mark.parametrize("name", NAMES)
def test_a_fixed_planner_zeroes_exactly_the_channels_a_member_left(name):
    w = world(name)
    opted_in = patterns(len(w.channels))
    for plan in w.plans[:: len(w.plans) // 7]:
        chosen = w.plans[FixedPlanner(w, plan.tolist()).plan(requests(w, opted_in))]
        assert_array_equal(chosen, np.where(opted_in, plan, 0))


def test_left_channels_change_a_plans_targets_and_never_its_shape():
    w = world("shaped")
    opted_in = patterns(2)
    for plan, shape in ((5, 2), "weekend"), ((0, 7), "active"), ((14, 1), "uniform"):
        chosen = FixedPlanner(w, plan, shape).plan(requests(w, opted_in))
        assert_array_equal(w.plans[chosen], np.where(opted_in, plan, 0))
        assert {w.shape_names[s] for s in w.plan_shapes[chosen]} == {shape}


def test_a_fixed_planner_takes_a_whole_plan_of_the_menu_only():
    for plan in [(5,), (5, 2, 1), (6, 2)]:
        with pytest.raises(ValueError, match=r"plan.*(needed|allowed)"):
            FixedPlanner(world("pronounced"), plan)


def test_each_member_gets_its_own_constant_plan():
    w = world("pronounced")
    plans = np.array([w.plan_index((5, 2)), w.plan_index((0, 7)), w.plan_index((14, 0))])
    asked = requests(w, np.array([[True, True], [True, False], [True, True]]))
    asked = asked._replace(entity_ids=np.array([2, 1, 0]))
    chosen = PerMemberPlanner(w, plans).plan(asked)
    assert_array_equal(w.plans[chosen], [[14, 0], [0, 0], [5, 2]])


@pytest.mark.parametrize("name", NAMES)
def test_a_random_plan_is_uniform_over_the_feasible_plans(name):
    w = world(name)
    for flags in patterns(len(w.channels)):
        asked = requests(w, np.tile(flags, (20_000, 1)))
        counts = np.bincount(RandomPlanner(3).plan(asked), minlength=len(w.plans))
        feasible = asked.feasible[0]
        assert counts[~feasible].sum() == 0
        cells = feasible.sum()
        if cells == 1:
            continue
        expected = counts.sum() / cells
        chi_square = ((counts[feasible] - expected) ** 2 / expected).sum()
        freedom = cells - 1  # Wilson and Hilferty's approximation of the 99.99 % quantile
        bound = freedom * (1 - 2 / (9 * freedom) + 3.72 * (2 / (9 * freedom)) ** 0.5) ** 3
        assert chi_square < bound


def test_a_random_plan_does_not_depend_on_who_else_is_asked():
    w = world("pronounced")
    asked = requests(w, np.random.default_rng(0).random((200, 2)) < 0.7, week=5)
    rows = np.random.default_rng(1).permutation(200)[:50]
    some = asked._replace(**{k: v[rows] for k, v in asked._asdict().items() if v is not None})
    assert_array_equal(RandomPlanner(9).plan(some), RandomPlanner(9).plan(asked)[rows])


def test_random_plans_change_with_seed_week_domain_and_stream():
    w = world("pronounced")
    everyone = np.ones((100, 2), bool)
    choices = [
        RandomPlanner(0).plan(requests(w, everyone)),
        RandomPlanner(1).plan(requests(w, everyone)),
        RandomPlanner(0).plan(requests(w, everyone, week=1)),
        RandomPlanner(0, Domain.BURN_IN).plan(requests(w, everyone)),
        RandomPlanner(0, stream=1).plan(requests(w, everyone)),
    ]
    for i, one in enumerate(choices):
        for other in choices[:i]:
            assert (one == other).mean() < 0.2


def test_a_random_plan_does_not_depend_on_signals():
    w, everyone = world("pronounced"), np.ones((50, 2), bool)
    one, other = requests(w, everyone, seed=1), requests(w, everyone, seed=2)
    assert not np.array_equal(one.observations, other.observations)
    assert_array_equal(RandomPlanner(0).plan(one), RandomPlanner(0).plan(other))


class FirstDigits(BasePlanner):
    """Chooses the feasible plan at position id modulo their number: members differ for good."""

    name = "first_digits"
    policy_version = 4

    def plan(self, request):
        ranks = request.entity_ids % request.feasible.sum(axis=1)
        return np.argmax(np.cumsum(request.feasible, axis=1) > ranks[:, None], axis=1)


@given(st.lists(st.sampled_from(range(8)), min_size=1, max_size=60), st.integers(0, 2**32 - 1))
def test_dealt_plans_keep_their_counts_among_members_with_the_same_flags(codes, seed):
    w = world("in_app")
    opted_in = patterns(3)[codes]
    asked = requests(w, opted_in)
    own = FirstDigits().plan(asked)
    dealt = DealtPlanner(FirstDigits(), seed).plan(asked)
    assert asked.feasible[np.arange(len(codes)), dealt].all()
    for code in set(codes):
        same = np.array(codes) == code
        assert_array_equal(np.sort(dealt[same]), np.sort(own[same]))


def test_dealing_leaves_nothing_of_who_should_get_which_plan():
    w = world("pronounced")
    asked = requests(w, np.ones((63 * 40, 2), bool))
    own = FirstDigits().plan(asked)
    dealt = DealtPlanner(FirstDigits(), 7).plan(asked)
    assert abs((own == dealt).mean() - 1 / 63) < 4 * (1 / 63 / len(own)) ** 0.5
    assert abs(np.corrcoef(own, dealt)[0, 1]) < 4 / len(own) ** 0.5


def test_plans_are_dealt_anew_each_week_and_under_each_seed():
    w, everyone = small_world(), np.ones((200, 2), bool)
    first = DealtPlanner(FirstDigits(), 7).plan(requests(w, everyone))
    assert_array_equal(first, DealtPlanner(FirstDigits(), 7).plan(requests(w, everyone)))
    for other in (
        DealtPlanner(FirstDigits(), 8).plan(requests(w, everyone)),
        DealtPlanner(FirstDigits(), 7).plan(requests(w, everyone, week=1)),
    ):
        assert (first == other).mean() < 0.5


class Curious(FirstDigits):
    """Wants to know more, and notes what it is told."""

    privileged = True

    def __init__(self, belief_filter):
        super().__init__()
        self.belief_filter = belief_filter

    def plan(self, request):
        self.told = request.beliefs, request.latents
        return super().plan(request)


def test_a_dealt_planner_asks_for_what_its_planner_asks_for():
    w = world("pronounced")
    planner = Curious(BeliefFilter(w))
    dealt = DealtPlanner(planner)
    assert dealt.belief_filter is planner.belief_filter
    assert dealt.privileged
    asked = plan_request(Population(w, 9, belief_filter=dealt.belief_filter), None, dealt)
    dealt.plan(asked)
    assert planner.told[0] is asked.beliefs is not None
    assert planner.told[1] is asked.latents is not None
    plain = DealtPlanner(FirstDigits())
    assert plain.belief_filter is None
    assert not plain.privileged
    assert DealtPlanner(dealt).belief_filter is planner.belief_filter


def test_a_dealt_planner_has_the_version_of_its_planner():
    assert DealtPlanner(FirstDigits()).policy_version == 4


def test_the_safe_planner_takes_the_most_of_the_safe_plan_that_is_on_the_menu():
    w = replace(world("pronounced"), menu=((0, 2, 5), (0, 1)), safe_plan=(3, 4))
    assert safe_planner(w).wanted == (2, 1)
