"""What every planner that learns keeps to."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from slowfast_rl.members.population import Population
from slowfast_rl.policies.contracts import BasePlanner
from slowfast_rl.policies.plan_exchange import plan_request
from tests.slow.cases import budget, learned, requests, small_world
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
        assert planner.opportunities == planner.cpu_seconds == 0
        assert planner.default_opportunities > 0

    def test_the_same_seed_trains_the_same_weights_whatever_happens_in_between(
        self, make: MakeLearner
    ) -> None:
        world, disturbed, counts = small_world(), make(), []
        total = budget(make(), world, 2)

        def disturb(opportunities: int) -> None:
            counts.append(opportunities)
            if len(counts) % 5 == 1:
                population = Population(world, 8, 9, 9, belief_filter=disturbed.belief_filter)
                disturbed.plan(plan_request(population, None, disturbed))
                disturbed.state()
                torch.manual_seed(len(counts))

        quiet = make().learn(world, total_opportunities=total, seed=4)
        disturbed.learn(world, total_opportunities=total, seed=4, progress=disturb)
        assert counts == sorted(counts)
        assert_same(weights(quiet), weights(disturbed))
        assert quiet.policy_version == disturbed.policy_version > 0

    def test_another_seed_trains_other_weights(self, make: MakeLearner) -> None:
        one, other = (learned(make(), small_world(), seed=s) for s in (1, 2))
        assert differ(weights(one), weights(other))

    def test_training_again_starts_anew_under_a_later_version(self, make: MakeLearner) -> None:
        planner = learned(make(), small_world(), seed=1)
        first, version, played = weights(planner), planner.policy_version, planner.opportunities
        learned(planner, small_world(), seed=1)
        assert_same(first, weights(planner))
        assert planner.policy_version > version
        assert planner.opportunities == played

    def test_a_budget_comes_to_what_the_schedule_says_at_most_and_is_reported(
        self, make: MakeLearner
    ) -> None:
        world, counts = small_world(), list[int]()
        least = budget(make(), world)
        for total in (1, least // 2, least, least + 1, 2 * least):
            planner, planned = make(), make().schedule(world, total)
            planner.learn(world, total_opportunities=total, progress=counts.append)
            assert planned.opportunities is not None
            assert 0 < counts[-1] <= planner.opportunities <= planned.opportunities
            if total >= least:
                assert planned.members == make().schedule(world, 2**60).members
                assert total <= planned.opportunities < 2 * total
            elif total > 1:
                assert planned.opportunities <= total
        assert make().schedule(world, None).opportunities is None

    def test_cpu_time_ends_training_and_even_none_of_it_trains_once(
        self, make: MakeLearner
    ) -> None:
        world = small_world()
        planner = make().learn(world, total_cpu_seconds=1e-9)
        once = planner.opportunities
        assert 0 < once <= budget(make(), world)
        assert differ(weights(planner), weights(make().learn(world, total_cpu_seconds=0.3)))
        planner.learn(world, total_cpu_seconds=0.3)
        assert planner.cpu_seconds >= 0.3
        assert planner.opportunities >= once

    def test_a_warm_start_goes_on_from_what_was_learned(self, make: MakeLearner) -> None:
        world = small_world()
        planner = learned(make(), world, seed=1)
        first, begun = weights(planner), list[dict[str, np.ndarray]]()
        learned(
            planner,
            world,
            seed=2,
            warm_start=True,
            progress=lambda _: begun.append(weights(planner)),
        )
        kept = [name for name in first if not name.endswith(("centre", "scale"))]
        assert_same({n: first[n] for n in kept}, {n: begun[0][n] for n in kept})
        assert differ(begun[0], weights(planner))

    def test_plans_are_feasible_before_and_after_training(self, make: MakeLearner) -> None:
        world = small_world()
        asked = requests(world, np.random.default_rng(0).random((60, 2)) < 0.5)
        rows = np.arange(60)
        for planner in (
            make().untrained(world),
            learned(make(), world),
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
        planner = learned(make(), small_world())
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
