"""Rollout policy iteration: what it plays, what it learns, what it does without having learned."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from slowfast_rl.members.beliefs import BeliefFilter
from slowfast_rl.members.loading import load_world
from slowfast_rl.members.observations import privileged_features, weekly_features
from slowfast_rl.members.population import Population
from slowfast_rl.policies import default_executor
from slowfast_rl.policies.plan_exchange import plan_request
from slowfast_rl.slow.branches import branched_returns
from slowfast_rl.slow.plan_value import fit
from tests.members.worlds import world
from tests.slow.cases import learned, patterns, requests, small_world, tiny_rollouts
from tests.slow.planners import random_rollouts

SLOTS = 21
# Enough for a few states to tell a plan's large effect.
SMALL = {"states": 200, "branches": 6, "horizon": 4, "epochs": 20, "hidden": 16}
SMALL |= {"learning_rate": 1e-2}


def members(planner, name="pronounced", size=200):
    """Requests of new members of another population."""
    w = small_world(name)
    population = Population(w, size, 77, 77, belief_filter=planner.belief_filter)
    return plan_request(population, None, planner)


def sends(planner, name, size=200):
    """Mean sends a week that a planner plans for new members."""
    w = small_world(name)
    return w.plans[planner.plan(members(planner, name, size))].sum(axis=1).mean()


@pytest.mark.parametrize("seed", [1, 2])
def test_where_a_send_costs_more_than_it_can_bring_it_learns_never_to_send(seed):
    planner = learned(tiny_rollouts(**SMALL), small_world("costly"), seed=seed)
    assert sends(planner, "costly") == 0


def test_with_the_whole_menu_of_a_costly_world_it_learns_never_to_send():
    w = load_world("costly")
    planner = learned(tiny_rollouts(**SMALL), w, seed=1)
    asked = plan_request(
        Population(w, 200, 77, 77, belief_filter=planner.belief_filter), None, planner
    )
    assert not planner.plan(asked).any()


def test_where_sends_only_please_it_learns_to_send_all_it_can():
    planner = learned(tiny_rollouts(**SMALL), small_world("no_fatigue"), seed=1)
    w = small_world("no_fatigue")
    asked = members(planner, "no_fatigue")
    most = np.where(asked.feasible, w.plans.sum(axis=1), 0).max(axis=1)
    assert w.plans[planner.plan(asked)].sum() > 0.9 * most.sum()


@settings(max_examples=25)
@given(st.lists(st.integers(0, 7), min_size=1, max_size=30), st.integers(0, 2**32 - 1))
def test_no_plan_is_ever_infeasible(codes, seed):
    w = world("in_app")
    opted_in = patterns(3)[codes]
    asked = requests(w, opted_in, seed=seed)
    planner = random_rollouts(w)
    plans = planner.plan(asked)
    assert not w.plans[plans][~opted_in].any()


def test_the_plan_is_the_feasible_one_of_the_highest_mean_value():
    w = small_world()
    planner = random_rollouts(w)
    asked = requests(w, np.random.default_rng(0).random((80, 2)) < 0.7)
    observations = np.concatenate([asked.observations, asked.beliefs], axis=1)
    q = np.mean([value.mean(observations).numpy() for value in planner.values], axis=0)
    q[~asked.feasible] = -np.inf
    assert_array_equal(planner.plan(asked), q.argmax(axis=1))


@pytest.mark.parametrize("beliefs", [False, True])
@pytest.mark.parametrize("privileged", [False, True])
def test_the_nets_see_signals_beliefs_and_latents_as_the_settings_say(beliefs, privileged):
    w = small_world()
    planner = tiny_rollouts(beliefs=beliefs, privileged=privileged).untrained(w)
    assert (planner.belief_filter is not None) == beliefs
    assert planner.privileged == privileged
    learned(planner, w)
    size = len(weekly_features(w))
    size += len(BeliefFilter(w).features) if beliefs else 0
    size += len(privileged_features(w)) if privileged else 0
    assert len(planner.values[0].centre) == size
    asked = plan_request(Population(w, 9, belief_filter=planner.belief_filter), None, planner)
    assert (asked.beliefs is not None, asked.latents is not None) == (beliefs, privileged)
    assert asked.feasible[np.arange(9), planner.plan(asked)].all()


def test_before_it_has_learned_everyone_gets_the_safe_plan():
    w = world("pronounced")
    planner = tiny_rollouts().untrained(w)
    opted_in = patterns(2)
    chosen = w.plans[planner.plan(requests(w, opted_in))]
    assert_array_equal(chosen, np.where(opted_in, w.safe_plan, 0))


def test_of_a_safe_plan_that_the_menu_lacks_everyone_gets_what_there_is():
    w = replace(world("pronounced"), menu=((0, 2, 5), (0, 1)), safe_plan=(3, 4))
    chosen = w.plans[tiny_rollouts().untrained(w).plan(requests(w, np.ones((3, 2), bool)))]
    assert_array_equal(chosen, [[2, 1]] * 3)


def test_an_iterations_opportunities_are_those_of_its_lives_and_its_branches(monkeypatch):
    reached, counts = [], []

    def noting(value, data, **how):
        reached.append(len(data.observations))
        return fit(value, data, **how)

    monkeypatch.setattr("slowfast_rl.slow.plan_value.fit", noting)
    planner = tiny_rollouts(states=20, ages=4, weeks_between=2, branches=3, horizon=5)
    once = learned(planner, small_world()).opportunities
    assert once == SLOTS * (20 * 4 + reached[0] * 3 * 5)
    reached.clear()
    learned(planner, small_world(), rounds=2, progress=counts.append)
    first, both = reached
    assert planner.opportunities == SLOTS * (20 * (4 + 2) + both * 3 * 5)
    assert 10 < first <= 20
    assert len(counts) == 4 + 5 + 2 + 5  # after every week
    assert counts[0] == 20 * SLOTS
    assert counts[-1] == planner.opportunities
    assert (np.diff(counts) > 0).all()
    assert planner.policy_version == 1 + 2


def test_only_members_with_a_choice_are_branched(monkeypatch):
    seen = []

    def noting(value, data, **how):
        seen.append(data)
        return fit(value, data, **how)

    monkeypatch.setattr("slowfast_rl.slow.plan_value.fit", noting)
    w = replace(load_world("pronounced", {"traits.opt_in": 0.3}), menu=small_world().menu)
    learned(tiny_rollouts(states=100, branches=2), w)
    names = [feature.name for feature in weekly_features(w)]
    flags = seen[0].observations[:, [names.index(f"{c}_opted_in") for c in w.channels]]
    assert 20 < len(flags) < 80
    assert flags.any(axis=1).all()
    assert not w.plans[seen[0].plans][(flags == 0)[:, None].repeat(2, axis=1)].any()


@pytest.mark.parametrize("states", [2, 30])
def test_where_nobody_has_a_choice_it_learns_nothing_and_goes_on(states):
    w = load_world("pronounced", {"traits.opt_in": 0, "opt_out.return_rate": 0})
    planner = learned(tiny_rollouts(states=states), w)
    assert all(np.isfinite(array).all() for array in planner.state().values())
    asked = requests(w, np.zeros((5, 2), bool))
    assert not planner.plan(asked).any()


def test_a_single_member_with_a_choice_makes_numbers_too():
    w = load_world("pronounced", {"traits.opt_in": 0.4})
    for seed in range(6):
        planner = learned(tiny_rollouts(states=2), w, seed=seed)
        assert all(np.isfinite(array).all() for array in planner.state().values())


def test_the_nets_of_the_last_iterations_act_together():
    w = small_world()
    one = learned(tiny_rollouts(acting=1), w)
    assert len(one.values) == one.policy_version == 1
    planner = learned(tiny_rollouts(acting=2), w, rounds=4)
    assert len(planner.values) == 2
    assert planner.policy_version == 4
    kept = learned(tiny_rollouts(acting=100), w, rounds=4)
    assert len(kept.values) == kept.policy_version == 4


def test_fewer_nets_plan_while_training_simulates_and_all_of_them_afterwards(monkeypatch):
    used = []

    def noting(population, plans, planner, *others):
        used.append([len(value.inputs_1) for value in planner.values])
        return branched_returns(population, plans, planner, *others)

    monkeypatch.setattr("slowfast_rl.slow.rollouts.branched_returns", noting)
    planner = tiny_rollouts(ensemble=3, rollout_nets=2, acting=2)
    learned(planner, small_world(), rounds=4)
    assert used == [[], [2], [2, 2], [2, 2]]
    assert [len(value.inputs_1) for value in planner.values] == [3, 3]


def test_later_iterations_live_under_what_was_learned_and_fit_all_states(monkeypatch):
    sizes, plans = [], []

    def noting(value, data, **how):
        sizes.append(len(data.observations))
        return fit(value, data, **how)

    class Told:
        def __init__(self):
            self.records = []

        def record(self, name, value):
            self.records.append((name, value))

        def dump(self, step):
            plans.append(step)

    monkeypatch.setattr("slowfast_rl.slow.plan_value.fit", noting)
    logger = Told()
    planner = tiny_rollouts()
    learned(planner, small_world(), rounds=3, logger=logger)
    assert (np.diff(sizes) > 10).all()
    assert len(sizes) >= 2
    told = dict(logger.records)
    assert told["iteration"] == len(sizes)
    assert told["branch_spread"] > 0
    assert all(np.isfinite(value) for value in told.values())
    assert plans == sorted(plans)
    assert plans[-1] == planner.opportunities // SLOTS


def test_training_is_not_disturbed_by_the_state_of_torchs_own_generator():
    w, arrays = small_world(), []
    for seed in (1, 2):
        torch.manual_seed(seed)
        arrays.append(learned(tiny_rollouts(), w, seed=5).state())
    for name in arrays[0]:
        assert_array_equal(arrays[0][name], arrays[1][name], err_msg=name)


def test_an_executor_that_sends_nothing_teaches_nothing():
    class Silent:
        def run_week(self, population, target, cap=None, shape=0):
            return default_executor().run_week(population, 0 * target)

    spreads = []

    class Told:
        def record(self, name, value):
            if name == "branch_spread":
                spreads.append(value)

        def dump(self, step):
            pass

    learned(tiny_rollouts(), small_world(), Silent(), logger=Told())
    assert spreads == [0]


def test_preparing_for_the_same_world_again_keeps_what_was_learned():
    w = world("pronounced")
    planner = random_rollouts(w)
    values = list(planner.values)
    assert planner.prepare(w).values == values
    assert planner.prepare(world("no_fatigue")).values == []
