"""A calendar that a company knows replaces the launches that the luck seed would draw."""

import numpy as np
import pytest

from slowfast_rl.members.beliefs import BeliefFilter
from slowfast_rl.members.launches import launch_counts
from slowfast_rl.members.population import Population, population_arrays, restore_population
from slowfast_rl.policies.simulate import run_plans
from tests.members.populations import check_same, differs
from tests.members.worlds import world

MEMBERS = 60
LONG = 70  # weeks, beyond those that a population draws at its start


def population(calendar: np.ndarray | None, **arguments: int) -> Population:
    return Population(
        world("pronounced"), MEMBERS, **({"luck_seed": 6} | arguments), calendar=calendar
    )


def drawn(weeks: int = LONG, seed: int = 6) -> np.ndarray:
    return launch_counts(world("pronounced"), seed, weeks)


def live(population: Population, weeks: int = 3) -> Population:
    for _ in range(weeks):
        run_plans(population, population.members % len(population.world.plans))
    return population


@pytest.mark.parametrize("weeks", [1, 5, 64, LONG])
def test_a_population_given_its_own_calendar_lives_the_same_lives(weeks: int) -> None:
    one, other = live(population(None), LONG), live(population(drawn(weeks)), LONG)
    check_same(one, other)
    assert np.array_equal(one.simulation.launches, other.simulation.launches)


def test_launches_of_a_given_calendar_are_those_that_members_see() -> None:
    calendar = np.zeros((14, 4), np.float32)
    calendar[[2, 9], [1, 3]] = 1, 2
    intensity = population(calendar).simulation.launches[:14]
    day = np.arange(14.0)
    expected = np.zeros((14, 4))
    expected[2:, 1] = 0.5 ** (day[: 14 - 2] / 4)
    expected[9:, 3] = 2 * 0.5 ** (day[: 14 - 9] / 4)
    np.testing.assert_allclose(intensity, expected, rtol=1e-5)


def test_another_calendar_is_another_life() -> None:
    assert differs(live(population(None)), live(population(drawn(seed=7))))


def test_later_days_are_drawn_from_the_luck_seed() -> None:
    calendar = np.zeros((7, 4), np.float32)
    launches = population(calendar).simulation.launches
    assert not launches[:7].any()
    assert np.array_equal(np.diff(launches, axis=0)[7:] > 0.5, drawn(64)[8:] > 0)


def test_clones_shards_and_restored_populations_keep_the_calendar() -> None:
    calendar = drawn(seed=7)
    one = live(population(calendar))
    arrays = population_arrays(one)
    restored = population(calendar)
    restore_population(restored, arrays)
    few = np.arange(10, 30)
    others = {"clone": one.clone(), "shard": one.shard(10, 30), "restored": restored}
    live(one, LONG)  # which makes each of them extend the calendar
    for name, other in others.items():
        check_same(live(other, LONG), one.take(few if name == "shard" else slice(None)))
        assert np.array_equal(other.simulation.launches, one.simulation.launches), name


def test_a_new_luck_keeps_the_calendar() -> None:
    calendar = drawn(64, seed=7)
    one = population(calendar)
    one.reset(luck_seed=8)
    check_same(live(one), live(population(calendar, luck_seed=8)))


def test_beliefs_go_with_a_given_calendar() -> None:
    belief_filter = BeliefFilter(world("pronounced"))
    one, other = (
        Population(world("pronounced"), 8, belief_filter=belief_filter, calendar=calendar)
        for calendar in (None, drawn(seed=0))
    )
    assert np.array_equal(live(one).beliefs.observations(), live(other).beliefs.observations())


def test_the_calendar_is_a_copy() -> None:
    calendar = drawn()
    one = population(calendar)
    calendar[:] = 5
    check_same(live(one, LONG), live(population(drawn()), LONG))


@pytest.mark.parametrize(
    "calendar", [np.zeros(7), np.zeros((7, 3)), np.full((7, 4), -1.0), np.full((7, 4), np.nan)]
)
def test_what_is_no_calendar_is_refused(calendar: np.ndarray) -> None:
    with pytest.raises(ValueError, match="calendar"):
        population(calendar)
