"""What every planner that learns keeps to."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from slowfast_rl.members.population import Population
from slowfast_rl.policies.contracts import BasePlanner
from slowfast_rl.policies.plan_exchange import plan_request
from tests.slow.cases import requests, small_world
from tests.slow.planners import MakeLearner


def weights(planner: BasePlanner) -> dict[str, np.ndarray]:
    return planner.state()


def differ(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return any(not np.array_equal(one[name], other[name]) for name in one)


def assert_same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        assert_array_equal(one[name], other[name], err_msg=name)


class LearnerContract:
    """Subclass it with `make` parametrised over planners that learn."""

    def test_it_is_a_planner_that_learns_and_its_settings_are_those_of_its_constructor(
        self, make: MakeLearner
    ) -> None:
        planner = make()
        assert planner.learns
        assert planner.takes_budget
        assert type(planner)(planner.settings).settings == planner.settings
        assert planner.opportunities == planner.opportunities_before == planner.cpu_seconds == 0

    def test_the_same_seed_trains_the_same_weights_whatever_happens_in_between(
        self, make: MakeLearner
    ) -> None:
        world, disturbed, counts = small_world(), make(), []
        budget = make().learn(world, total_opportunities=1).opportunities + 1  # two rounds

        def disturb(opportunities: int) -> None:
            counts.append(opportunities)
            if len(counts) % 5 == 1:
                population = Population(world, 8, 9, 9, belief_filter=disturbed.belief_filter)
                disturbed.plan(plan_request(population, None, disturbed))
                disturbed.state()
                torch.manual_seed(len(counts))

        quiet = make().learn(world, total_opportunities=budget, seed=4)
        disturbed.learn(world, total_opportunities=budget, seed=4, progress=disturb)
        assert counts == sorted(counts)
        assert_same(weights(quiet), weights(disturbed))
        assert quiet.policy_version == disturbed.policy_version > 0

    def test_another_seed_trains_other_weights(self, make: MakeLearner) -> None:
        one, other = (make().learn(small_world(), total_opportunities=1, seed=s) for s in (1, 2))
        assert differ(weights(one), weights(other))

    def test_training_again_starts_anew_under_a_later_version(self, make: MakeLearner) -> None:
        planner = make().learn(small_world(), total_opportunities=1, seed=1)
        first, version, played = weights(planner), planner.policy_version, planner.opportunities
        planner.learn(small_world(), total_opportunities=1, seed=1)
        assert_same(first, weights(planner))
        assert planner.policy_version > version
        assert planner.opportunities == played

    def test_opportunities_are_rounded_up_to_whole_rounds_and_reported(
        self, make: MakeLearner
    ) -> None:
        counts, planner = [], make()
        once = make().learn(small_world(), total_opportunities=1).opportunities
        planner.learn(small_world(), total_opportunities=once, progress=counts.append)
        assert planner.opportunities == once
        assert 0 <= counts[-1] <= once
        planner.learn(small_world(), total_opportunities=once + 1)
        assert once < planner.opportunities <= 2 * once

    def test_cpu_time_ends_training_and_even_none_of_it_trains_once(
        self, make: MakeLearner
    ) -> None:
        once = make().learn(small_world(), total_opportunities=1).opportunities
        planner = make().learn(small_world(), total_cpu_seconds=1e-9)
        assert once <= planner.opportunities < 2 * once
        planner.learn(small_world(), total_cpu_seconds=0.3)
        assert planner.cpu_seconds >= 0.3
        assert planner.opportunities >= once

    def test_plans_are_feasible_before_and_after_training(self, make: MakeLearner) -> None:
        world = small_world()
        asked = requests(world, np.random.default_rng(0).random((60, 2)) < 0.5)
        rows = np.arange(60)
        for planner in (
            make().untrained(world),
            make().learn(world, total_opportunities=1),
        ):
            assert asked.feasible[rows, planner.plan(asked)].all()

    def test_an_untrained_planner_leaves_the_callers_random_numbers_alone(
        self, make: MakeLearner
    ) -> None:
        world = small_world()
        torch.manual_seed(3)
        expected = torch.rand(4)
        torch.manual_seed(3)
        planner = make().untrained(world)
        type(planner).from_state(world, planner.settings, planner.state())
        assert_array_equal(torch.rand(4), expected)

    def test_a_planner_that_knows_no_world_says_so(self, make: MakeLearner) -> None:
        asked = requests(small_world(), np.ones((1, 2), bool))
        with pytest.raises(RuntimeError, match="call learn or load first"):
            make().plan(asked)

    def test_what_it_needs_to_know_and_is_not_told_is_refused_in_one_line(
        self, make: MakeLearner
    ) -> None:
        planner = make().learn(small_world(), total_opportunities=1)
        asked = requests(small_world(), np.ones((3, 2), bool))
        for needed, field in (
            (planner.belief_filter is not None, "beliefs"),
            (planner.privileged, "latents"),
        ):
            if needed:
                with pytest.raises(ValueError, match="the request lacks") as raised:
                    planner.plan(asked._replace(**{field: None}))
                assert "\n" not in str(raised.value)
            else:
                planner.plan(asked._replace(**{field: None}))

    @pytest.mark.parametrize(
        ("budget", "message"),
        [
            ({}, "exactly one of them is needed"),
            ({"total_opportunities": 1, "total_cpu_seconds": 1}, "exactly one of them is needed"),
            ({"total_opportunities": 0}, "total_opportunities is 0; allowed is above 0"),
            ({"total_cpu_seconds": -1.0}, r"total_cpu_seconds is -1\.0; allowed is above 0"),
            ({"total_cpu_seconds": float("nan")}, "total_cpu_seconds is nan; allowed"),
            ({"total_cpu_seconds": float("inf")}, "total_cpu_seconds is inf; allowed"),
        ],
    )
    def test_exactly_one_budget_above_zero_is_needed(
        self, make: MakeLearner, budget: dict[str, float], message: str
    ) -> None:
        with pytest.raises(ValueError, match=message):
            make().learn(small_world(), **budget)
