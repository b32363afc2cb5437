"""A step in blocks gives the bits of the scalar driver, for any world, action and thread count."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from slowfast_rl.members import driver, threads
from slowfast_rl.members.loading import world_from_tree
from slowfast_rl.members.population import Population
from slowfast_rl.members.scratch import BLOCK
from slowfast_rl.members.state import Events, empty_events
from slowfast_rl.members.world import World
from tests.configurations.generate import SHAPES, configuration, generated
from tests.members.populations import check_same
from tests.members.worlds import world

MEMBERS = BLOCK + 44  # a whole block and a part of one


def scalar_step(population: Population, actions) -> tuple[np.ndarray, Events]:
    """Step by the scalar driver, as rows at different slots do."""
    rewards, events = np.empty(len(actions)), empty_events(len(actions))
    population.keep_calendar()
    driver.step_slot(population.simulation, population.slots, actions, events, rewards)
    population.slots = (population.slots + 1) % population.world.slots_per_week
    return rewards, events


def check_steps(
    w: World, members: int = MEMBERS, weeks: int = 2, seed: int = 0, churned: float = 0.1, **kw
) -> Population:
    """Step members by both drivers, some churned and in different weeks; compare all bits."""
    one, rng = Population(w, members, seed, seed, **kw), np.random.default_rng(seed)
    for step in range(min(weeks * w.slots_per_week, 150)):
        if step and step % w.slots_per_week == 0:
            one.restart(rng.random(members) < 0.3)
            one.simulation.state.alive[rng.random(members) < churned] = 0
        other = one.clone()
        actions = rng.integers(w.num_candidates + 1, size=members) * (rng.random(members) < 0.5)
        rewards, events = one.step(actions)
        expected, happened = scalar_step(other, actions)
        assert_array_equal(rewards, expected)
        for name, flags, others in zip(Events._fields, events, happened, strict=True):
            assert_array_equal(flags, others, f"{name} at step {step}")
        check_same(one, other)
    return one


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reward", ["expected", "sampled"])
def test_members_of_every_shape_of_a_world_step_the_same_in_blocks(shape, reward):
    check_steps(generated(shape), reward=reward)


@given(seed=st.integers(0, 10_000), members=st.integers(1, 2 * BLOCK + 1))
@settings(max_examples=25, deadline=None)
def test_any_number_of_members_of_any_world_steps_the_same_in_blocks(seed, members):
    try:
        w = world_from_tree(configuration(seed), "generated")
    except ValueError:
        return
    check_steps(w, members, seed=seed, churned=(seed % 5) / 4)


def test_sends_on_a_channel_that_was_left_are_ignored_alike():
    lived = check_steps(world("eventful"), weeks=6)
    assert lived.last_week().ignored.any()


def test_members_step_the_same_in_any_number_of_threads():
    w, found = world("eventful"), []
    size = 2 * threads.LEAST_ROWS_OF_A_STEP + 300
    for number in (1, 2, 3):
        threads.set_num_threads(number)
        try:
            members = Population(w, size, 1, 1)
            steps = [members.step(np.arange(size) % 3) for _ in range(w.slots_per_week + 1)]
        finally:
            threads.set_num_threads(None)
        found.append((members, np.array([rewards for rewards, _ in steps])))
    for other, rewards in found[1:]:
        check_same(found[0][0], other)
        assert_array_equal(found[0][1], rewards)


def test_the_events_of_a_step_are_not_changed_by_the_next_one():
    members = Population(world("eventful"), MEMBERS)
    _, events = members.step(np.ones(MEMBERS, np.int64))
    before = [flags.copy() for flags in events]
    members.step(np.zeros(MEMBERS, np.int64))
    for flags, kept in zip(events, before, strict=True):
        assert_array_equal(flags, kept)
