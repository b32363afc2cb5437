import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from slowfast_rl.members.population import Population
from slowfast_rl.policies.executor import default_executor
from slowfast_rl.policies.plan_exchange import plan_request
from slowfast_rl.slow import UtilityPlanner
from slowfast_rl.slow.branches import burn_in
from tests.members.worlds import world
from tests.slow.cases import patterns, rebuilt, requests, small_world

SMALL = {"num_members": 1024, "weeks": 12, "window": 3}


def tiny(name="pronounced", seed=3, **settings):
    return UtilityPlanner(**({"num_members": 200, "weeks": 4, "window": 2} | settings)).learn(
        small_world(name), seed=seed
    )


@pytest.fixture(scope="module")
def planner():
    return tiny()


def later(w, weeks=8):
    """Members in whose lives all kinds of plans have been."""
    population = Population(w, 300, 9, 9)
    burn_in(population, weeks, 9, 0)
    return plan_request(population)


def test_where_a_send_costs_more_than_it_can_bring_it_picks_never():
    w = world("costly")
    chosen = w.plans[UtilityPlanner(**SMALL).learn(w).plan(later(w))]
    assert chosen.sum(axis=1).mean() < 0.05


def test_where_nothing_tires_and_nothing_costs_it_sends_about_as_often_as_it_may():
    w = world("no_fatigue")
    planner = UtilityPlanner(**(SMALL | {"num_members": 4096}), message_cost=0.0).learn(w)
    asked = later(w)
    chosen = w.plans[planner.plan(asked)].sum(axis=1)
    most = np.where(asked.feasible, w.plans.sum(axis=1), 0).max(axis=1)
    assert chosen.sum() > 0.8 * most.sum()


def test_it_sends_less_to_members_who_tire_fast():
    w = small_world("two_type")
    planner = UtilityPlanner(num_members=4096, weeks=24, window=6).learn(w)
    population = Population(w, 600, 9, 9)
    burn_in(population, 12, 9, 0)
    sensitive = population.simulation.traits.fatigue_sensitivity > 1
    asked = plan_request(population)
    reachable = asked.feasible.all(axis=1) & population.alive
    sends = w.plans[planner.plan(asked)].sum(axis=1)
    assert sends[reachable & ~sensitive].mean() > 1.5 * sends[reachable & sensitive].mean()


@pytest.mark.parametrize("name", ["pronounced", "in_app"])
def test_no_plan_uses_a_channel_that_the_member_left(name):
    w = world(name)
    planner = UtilityPlanner(num_members=100, weeks=4, window=2, message_cost=0.0).learn(w)
    opted_in = np.repeat(patterns(len(w.channels)), 5, axis=0)
    asked = requests(w, opted_in)
    plans = planner.plan(asked)
    assert asked.feasible[np.arange(len(plans)), plans].all()


def test_the_plan_has_the_highest_utility_of_the_feasible_ones(planner):
    asked = requests(small_world(), np.random.default_rng(0).random((60, 2)) < 0.7)
    utilities = planner.utilities(asked.observations)
    for row, plan in enumerate(planner.plan(asked)):
        assert utilities[row, plan] == utilities[row][asked.feasible[row]].max()


def test_the_cost_is_paid_per_planned_send_over_the_window(planner):
    observations = requests(small_world(), np.ones((7, 2), bool)).observations
    free, dear = (planner.weighted(message_cost=c).utilities(observations) for c in (0.0, 0.1))
    sends = small_world().plans.sum(axis=1)
    assert_allclose(free - dear, np.tile(0.1 * sends * (1 + 0.98), (7, 1)), rtol=1e-4)


def test_utilities_are_weighted_sums_of_components(planner):
    observations = requests(small_world(), np.ones((7, 2), bool)).observations
    names = ("viewing_day", "logged_open", "opt_out", "churn", "message_cost")
    nothing = dict.fromkeys(names, 0.0)
    alone = {n: planner.weighted(**(nothing | {n: 1.0})).utilities(observations) for n in nothing}
    chosen = {"viewing_day": 2.0, "logged_open": 0.3, "opt_out": 4.0, "churn": 7.0}
    both = planner.weighted(**chosen, message_cost=0.01).utilities(observations)
    parts = (chosen | {"message_cost": 0.01}).items()
    assert_allclose(both, sum(v * alone[n] for n, v in parts), rtol=1e-3, atol=1e-3)
    assert all(np.abs(alone[n]).max() > 0 for n in nothing)


def test_weights_left_open_are_the_worlds(planner):
    reward = small_world().reward
    observations = requests(small_world(), np.ones((7, 2), bool)).observations
    named = planner.weighted(
        viewing_day=reward.viewing_day, logged_open=reward.causal_open, opt_out=reward.opt_out,
        churn=reward.churn, message_cost=reward.message_cost,
    )  # fmt: skip
    assert_allclose(named.utilities(observations), planner.utilities(observations))


def test_other_weights_leave_the_planner_and_its_effects_alone(planner):
    before = planner.state()
    other = planner.weighted(message_cost=1.0)
    assert other.settings.message_cost == 1.0
    assert (other.opportunities, other.policy_version) == (planner.opportunities, 1)
    assert planner.settings.message_cost is None
    for name, array in other.state().items():
        assert_array_equal(array, before[name])


@pytest.mark.parametrize("weights", [{"window": 3}, {"colour": 1.0}, {"message_cost": -1.0}])
def test_what_is_no_weight_is_refused(planner, weights):
    with pytest.raises(ValueError, match="allowed"):
        planner.weighted(**weights)


def test_the_same_seed_learns_the_same_and_counts_what_it_played(planner):
    told = []
    again = UtilityPlanner(
        **{k: getattr(planner.settings, k) for k in ("num_members", "weeks", "window")}
    )
    again.learn(small_world(), default_executor(), seed=3, progress=told.append)
    assert again.opportunities == 200 * 4 * 21
    assert told == [0, 4200, 8400, 12600]
    for name, array in again.state().items():
        assert_array_equal(array, planner.state()[name])
    assert not np.array_equal(tiny(seed=4).effects.weights, planner.effects.weights)


def test_a_planner_comes_back_from_its_state_as_it_was(planner):
    arrays = planner.state()
    again = rebuilt(planner, small_world())
    assert (again.settings, again.policy_version) == (planner.settings, 1)
    asked = requests(small_world(), np.random.default_rng(0).random((50, 2)) < 0.7)
    assert_array_equal(again.plan(asked), planner.plan(asked))
    arrays["weights"][:] = 0  # a copy
    assert again.effects.weights.any()
    assert planner.effects.weights.any()


def without(mapping, name):
    return {k: v for k, v in mapping.items() if k != name}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda a: without(a, "weights"), "weight weights is missing"),
        (lambda a: a | {"more": a["scale"]}, "weight more is unknown"),
        (lambda a: a | {"weights": a["weights"][:1]}, "allowed is float32 of shape"),
        (lambda a: a | {"centre": a["centre"].astype(np.float64)}, "is float64 of shape"),
        (lambda a: a | {"weights": a["weights"] * np.nan}, "not finite"),
        (lambda a: a | {"scale": 0 * a["scale"]}, "allowed is above 0"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_in_one_line(planner, damage, message):
    with pytest.raises(ValueError, match=message) as raised:
        UtilityPlanner.from_state(small_world(), planner.settings, damage(planner.state()))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_members": 1}, "num_members is 1; allowed is a whole number from 2"),
        ({"window": 0}, "window is 0; allowed is a whole number from 1"),
        ({"weeks": 3, "window": 2}, "weeks is 3; allowed is two windows of 2 or more"),
        ({"message_cost": -0.1}, r"message_cost is -0\.1; allowed is 0 to 1e\+06"),
        ({"churn": "5"}, "churn is '5'"),
        ({"ridge": None}, "ridge is None"),
        ({"policy_version": True}, "policy_version is True"),
        ({"colour": "red"}, "planner settings are .*colour"),
    ],
)
def test_settings_that_are_not_allowed_are_refused_in_one_line(planner, changes, message):
    with pytest.raises(ValueError, match=message) as raised:
        rebuilt(planner, small_world(), changes)
    assert "\n" not in str(raised.value)


def test_a_planner_that_has_not_learned_says_so():
    asked = requests(small_world(), np.ones((1, 2), bool))
    fresh = UtilityPlanner()
    for use in (lambda: fresh.plan(asked), fresh.state, lambda: fresh.weighted(churn=1.0)):
        with pytest.raises(RuntimeError, match="call learn or load first"):
            use()
