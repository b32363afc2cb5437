import numpy as np
import pytest
from numpy.testing import assert_array_equal

from slowfast_rl.evaluation.protocol import (
    REFERENCE_POPULATION,
    EvaluationProtocol,
    burned_in,
    check_training_seed,
    segments,
)
from slowfast_rl.members.population import Population
from slowfast_rl.members.random import Domain
from slowfast_rl.policies import default_executor
from slowfast_rl.policies.plan_exchange import plan_request
from slowfast_rl.slow import RandomPlanner
from tests.evaluation.cases import TINY, small_world
from tests.members.worlds import world


def test_the_defaults_are_those_of_the_contract():
    assert EvaluationProtocol() == EvaluationProtocol(
        2048, 104, 8, 1_000_000, 1_000_000, (0, 1, 2, 3)
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"num_members": 1},
        {"weeks": 0},
        {"burn_in": -1},
        {"streams": ()},
        {"streams": (1, 1)},
        {"streams": (-1,)},
        {"population_seed": 2_000_000},
    ],
)
def test_what_cannot_be_evaluated_is_refused(changes):
    (name,) = changes
    with pytest.raises(ValueError, match=rf"{name} is .*; allowed"):
        EvaluationProtocol(**changes)


@pytest.mark.parametrize("seed", [1_000_000, REFERENCE_POPULATION, 5, 6])
def test_training_on_members_or_luck_of_an_evaluation_is_refused(seed):
    protocol = EvaluationProtocol(population_seed=5, luck_seed=6)
    with pytest.raises(ValueError, match=rf"seed is {seed}, which evaluation uses; allowed"):
        check_training_seed(seed, protocol)


def test_training_on_other_members_is_allowed():
    for seed in (0, 7, 999_999, 1_000_001):
        check_training_seed(seed, EvaluationProtocol())


def test_the_burn_in_plays_random_plans_on_the_evaluations_members_and_luck():
    w = small_world()
    start = burned_in(w, TINY, stream=1)
    by_hand = Population(w, 32, 1_000_000, 1_000_000, luck_stream=1)
    planner = RandomPlanner(1_000_000, Domain.BURN_IN, stream=1)
    for _ in range(2):
        plans = w.plans[planner.plan(plan_request(by_hand))]
        default_executor().run_week(by_hand, plans)
    assert_array_equal(start.weeks, 2)
    for name, mine in by_hand.simulation.state._asdict().items():
        assert_array_equal(getattr(start.simulation.state, name), mine, err_msg=name)
    assert start.simulation.log.by_channel[:, :, 1].sum() > 0


def test_segments_are_terciles_of_the_base_rate():
    population = Population(world("pronounced"), 600)
    segment, rate = segments(population), population.simulation.traits.base_rate
    assert_array_equal(np.bincount(segment), [200] * 3)
    assert rate[segment == 0].max() < rate[segment == 1].min()
    assert rate[segment == 1].max() < rate[segment == 2].min()
