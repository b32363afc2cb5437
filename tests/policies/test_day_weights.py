"""Day weights of pacing shapes, and the slots left as they count them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from slowfast_rl.members.population import Population
from slowfast_rl.members.state import EW4
from slowfast_rl.policies.day_weights import day_weights, pacing_parameters, week_weights
from tests.members.policies import play, random_actions
from tests.members.worlds import world

NONE = np.zeros(0, np.float32)


def lived(members: int = 40, weeks: int = 5) -> Population:
    population = Population(world("shaped"), members, 3, 3)
    play(population, random_actions(population, weeks))
    return population


def test_the_weights_of_each_shape_are_those_computed_by_hand() -> None:
    population = lived()
    shape = np.arange(40) % 4
    found = week_weights(population, shape.astype(np.int32))
    assert found is not None
    launches = population.simulation.launches[5 * 7 : 6 * 7].sum(axis=1)  # [7]
    viewing = population.simulation.log.by_member[:, EW4]  # [N]
    assert launches.std() > 0
    assert viewing.std() > 0
    logs = np.zeros((40, 7))
    logs[shape == 1] = [0, 0, 0, 0, 0.7, 0.7, 0.7]
    logs[shape == 2] = launches
    logs[shape == 3] = np.outer(viewing, [0.5, 0.5, 0, 0, 0, 0, -0.5])[shape == 3]
    assert_allclose(found, np.exp(logs - logs.max(axis=1, keepdims=True)), rtol=1e-5)


def test_uniform_plans_have_no_weights_and_unknown_shapes_equal_ones() -> None:
    population = lived()
    assert week_weights(population, 0) is None
    assert week_weights(Population(world("pronounced"), 3), 2) is None
    found = week_weights(population, np.arange(40, dtype=np.int32) - 20)
    assert found is not None
    assert_array_equal(found[:21], 1)
    assert_array_equal(found[24:], 1)
    assert (found[21:24] != 1).any(axis=1).all()


def test_the_weights_do_not_depend_on_the_batch() -> None:
    population, shape = lived(), (np.arange(40) % 4).astype(np.int32)
    rows = np.array([7, 3, 30])
    whole = week_weights(population, shape)
    some = week_weights(population.take(rows), shape[rows])
    assert whole is not None
    assert_array_equal(some, whole[rows])


def test_extreme_signals_leave_weights_finite_and_above_0() -> None:
    w = world("shaped")
    shape, week = np.array([2, 3], np.int32), np.zeros(2, np.int32)
    launches = np.zeros((7, 1), np.float32)
    launches[3] = 1e4
    found = day_weights(w, shape, launches, week, np.full(2, 7, np.float32))
    assert found is not None
    assert np.isfinite(found).all()
    assert (found > 0).all()


@pytest.mark.parametrize("name", ["pronounced", "in_app"])
@given(seed=st.integers(0, 2**32 - 1))
def test_slots_are_counted_by_their_weight_relative_to_this_one(name: str, seed: int) -> None:
    w = world(name)
    weights = np.random.default_rng(seed).uniform(0.1, 1, (3, 7)).astype(np.float32)
    slots = w.slots_per_week
    left, week = (
        pacing_parameters(w, NONE, weights, whole_week=whole)[1:].reshape(3, slots)
        for whole in (False, True)
    )
    for s, slot in enumerate(w.schedule):
        own = weights[:, slot.weekday]
        same = [t for t in range(slots) if w.schedule[t].channel == slot.channel]
        days = [w.schedule[t].weekday for t in same]
        later = [w.schedule[t].weekday for t in same if t >= s]
        assert_allclose(left[:, s], weights[:, later].sum(axis=1) / own, rtol=1e-5)
        assert_allclose(week[:, s], weights[:, days].sum(axis=1) / own, rtol=1e-5)


@pytest.mark.parametrize("name", ["pronounced", "in_app"])
def test_equal_weights_count_slots_exactly(name: str) -> None:
    w = world(name)
    population = Population(w, 2)
    counted = pacing_parameters(w, NONE, np.ones((2, 7), np.float32))
    assert counted[0] == w.slots_per_week
    expected = np.tile(population.simulation.schedule.slots_left, 2)
    assert_array_equal(counted[1:], expected)


def test_without_weights_there_is_nothing_but_the_pacers_own() -> None:
    own = np.array([5, 6], np.float32)
    assert_array_equal(pacing_parameters(world("pronounced"), own, None), [21, 5, 6])
