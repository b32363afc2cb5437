import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from slowfast_rl.members.population import Population
from slowfast_rl.policies.executor import default_executor
from slowfast_rl.policies.guard import feasible_target
from slowfast_rl.slow.branches import burn_in, constant_plan_returns
from tests.slow.cases import small_world


@pytest.mark.parametrize("num_members", [3, 65])
def test_every_constant_plan_is_lived_by_the_same_members_on_the_same_luck(num_members):
    world = small_world("eventful")
    start = Population(world, num_members, 5, 5)
    burn_in(start, 2, 5, 0)
    returns = constant_plan_returns(start, 3)
    for index in (0, 3, 5):
        alone, expected = start.clone(), np.zeros(num_members)
        for week in range(3):
            target = feasible_target(np.tile(world.plans[index], (num_members, 1)), alone.opted_in)
            reward = default_executor().run_week(alone, target).reward
            expected += world.reward.weekly_discount**week * reward
        assert_allclose(returns[:, index], expected)
    assert start.weeks.tolist() == [2] * num_members


def test_burn_in_depends_on_seed_and_stream_alone():
    simulation = []
    for seed, stream in ((5, 0), (5, 0), (6, 0), (5, 1)):
        population = Population(small_world(), 40, 1, 1)
        burn_in(population, 2, seed, stream)
        simulation.append(population.last_week().sends)
    assert_array_equal(simulation[0], simulation[1])
    assert not np.array_equal(simulation[0], simulation[2])
    assert not np.array_equal(simulation[0], simulation[3])
