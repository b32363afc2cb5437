"""What every planner does when it is asked."""

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from slowfast_rl.members.population import Population
from slowfast_rl.policies.component_files import from_node, to_node
from slowfast_rl.policies.contracts import BasePlanner, PlanRequest
from slowfast_rl.policies.plan_exchange import (
    PlanExchange,
    choose_plans,
    plan_request,
    plans_of_planner,
)
from tests.members.worlds import world
from tests.slow.cases import SMALL_MENU, patterns, rebuilt, requests
from tests.slow.planners import Case


def some(asked: PlanRequest, rows: np.ndarray) -> PlanRequest:
    return PlanRequest(*(column[rows] for column in asked))


class PlannerContract:
    """Subclass it with `case` parametrised over planners."""

    @pytest.mark.parametrize("name", ["pronounced", "in_app", "shaped"])
    @settings(max_examples=10)
    @given(
        codes=st.lists(st.integers(0, 7), min_size=1, max_size=40), seed=st.integers(0, 2**32 - 1)
    )
    def test_every_plan_is_one_of_the_menu_and_feasible(
        self, case: Case, name: str, codes: list[int], seed: int
    ) -> None:
        w = world(name)
        everything = patterns(len(w.channels))
        opted_in = everything[np.array(codes) % len(everything)]
        asked = requests(w, opted_in, week=seed % 200, seed=seed)
        plans = choose_plans(case.trained(w), asked)
        assert asked.feasible[np.arange(len(codes)), plans].all()
        assert not w.plans[plans][~opted_in].any()

    def test_asking_changes_nothing_and_the_same_question_has_the_same_answer(
        self, case: Case
    ) -> None:
        w = world("pronounced")
        planner = case.trained(w)
        asked = requests(w, np.random.default_rng(0).random((50, 2)) < 0.7)
        before = [column.copy() for column in asked]
        torch.manual_seed(3)
        expected = torch.rand(4)
        torch.manual_seed(3)
        version = planner.policy_version
        assert version >= 0
        first = planner.plan(asked)
        assert_array_equal(planner.plan(asked), first)
        for column, kept in zip(asked, before, strict=True):
            assert_array_equal(column, kept)
        assert_array_equal(torch.rand(4), expected)
        assert planner.policy_version == version

    def test_it_plans_for_a_population_through_the_store(self, case: Case) -> None:
        w = world("eventful")
        planner = case.trained(w)
        population = Population(w, 40, belief_filter=planner.belief_filter)
        plan_exchange, sent = PlanExchange(w), 0
        for _ in range(4):
            plans = plans_of_planner(population, planner)
            assert not plans[~population.alive].any()
            plan_exchange.issue(population, plans, planner.policy_version)
            week, plan = plan_exchange.run_week(population)
            assert_array_equal(plan.target, w.plans[plans])
            assert not week.vetoed.any()
            assert (week.sends <= plan.target).all()
            sent += week.sends.sum()
        assert sent > 0
        assert plan_exchange.reader.counters.fallbacks == 0

    def test_it_gets_what_it_asks_for_and_no_more(self, case: Case) -> None:
        w = world("pronounced")
        planner = case.trained(w)
        wanted = planner.belief_filter
        asked = plan_request(Population(w, 5, belief_filter=wanted), None, planner)
        assert (asked.beliefs is not None) == (wanted is not None)
        assert (asked.latents is not None) == planner.privileged


class IndependentPlannerContract:
    """Subclass it with `case` parametrised over planners that ask nobody else."""

    def test_a_members_plan_depends_on_the_member_alone(self, case: Case) -> None:
        w = world("pronounced")
        planner = case.trained(w)
        asked = requests(w, np.random.default_rng(1).random((200, 2)) < 0.8)
        rows = np.random.default_rng(2).permutation(200)[:30]
        assert_array_equal(planner.plan(some(asked, rows)), planner.plan(asked)[rows])


class BelievingPlannerContract:
    """Subclass it with `case` parametrised over planners that need beliefs."""

    def test_a_population_without_the_beliefs_it_needs_is_refused_in_one_line(
        self, case: Case
    ) -> None:
        w = world("pronounced")
        planner = case.trained(w)
        with pytest.raises(ValueError, match="needs beliefs; the population keeps none"):
            plan_request(Population(w, 5), None, planner)


class SavedPlannerContract:
    """Subclass it with `case` parametrised over planners that can be saved."""

    def test_it_comes_back_from_its_state_as_it_was(self, case: Case) -> None:
        w = world("shaped")
        planner = case.trained(w)
        arrays: dict[str, np.ndarray] = {}
        node = json.loads(json.dumps(to_node(planner, "slow", arrays)))
        again = from_node(node, "planner", w, "slow", arrays)
        assert type(again) is type(planner)
        assert again.settings == planner.settings
        assert again.policy_version == planner.policy_version
        assert again.state().keys() == planner.state().keys()
        for name, value in again.state().items():
            assert_array_equal(value, planner.state()[name])
        asked = requests(w, np.random.default_rng(0).random((60, 2)) < 0.8)
        assert_array_equal(again.plan(asked), planner.plan(asked))
        if planner.belief_filter is not None:
            assert again.belief_filter.world == w

    def test_a_state_is_a_copy(self, case: Case) -> None:
        w = world("pronounced")
        planner = case.trained(w)
        asked = requests(w, np.ones((40, 2), bool))
        before = planner.plan(asked)
        for value in planner.state().values():
            if isinstance(value, np.ndarray):
                value[...] = 0
        assert_array_equal(planner.plan(asked), before)

    def test_settings_of_another_planner_are_refused_in_one_line(self, case: Case) -> None:
        w = world("pronounced")
        planner = case.trained(w)
        arrays: dict[str, np.ndarray] = {}
        node = to_node(planner, "slow", arrays)
        for wrong in ({"colour": "red"}, node["settings"] | {"colour": "red"}):
            with pytest.raises(ValueError, match=r"settings are .*colour.*allowed") as raised:
                from_node(node | {"settings": wrong}, "planner", w, "slow", arrays)
            assert "\n" not in str(raised.value)
        with pytest.raises(ValueError, match=r"allowed|needed|unknown") as raised:
            type(planner).from_state(w, planner.settings, {"odd": np.zeros(1, np.float32)})
        assert "\n" not in str(raised.value)


class TrainedPlannerContract:
    """Subclass it with `make` parametrised over small planners of every kind that learns."""

    def test_it_trains_plans_and_is_saved_in_a_world_with_shapes(
        self, make: Callable[[], BasePlanner]
    ) -> None:
        w, planner = replace(world("shaped"), menu=SMALL_MENU), make()
        budget = {"total_opportunities": 1} if planner.takes_budget else {}
        for seed in range(3):
            planner.learn(w, seed=seed, **budget)
            asked = requests(w, np.random.default_rng(0).random((60, 2)) < 0.8)
            plans = choose_plans(planner, asked)
            assert asked.feasible[np.arange(60), plans].all()
            again = rebuilt(planner, w)
            assert_array_equal(choose_plans(again, asked), plans)
            population = Population(w, 12, belief_filter=planner.belief_filter)
            plan_exchange = PlanExchange(w)
            plan_exchange.issue(population, plans_of_planner(population, planner))
            assert plan_exchange.run_week(population)[0].sends.shape == (12, 2)
