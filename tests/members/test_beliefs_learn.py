"""Beliefs come to know what the log tells, in the right direction, and nothing else."""

from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from slowfast_rl.members.beliefs import BeliefFilter
from slowfast_rl.members.loading import load_world
from slowfast_rl.members.population import Population
from slowfast_rl.members.state import Log
from tests.members.beliefs import believing, live_under_random_plans, seen, told, week_of
from tests.members.worlds import world


@cache
def forty_weeks(name: str = "pronounced") -> Population:
    population = believing(name, 512)
    live_under_random_plans(population, 40)
    return population


def correlation(population: Population, signal: str, truth: np.ndarray) -> float:
    """Among the living."""
    living = population.alive
    assert living.sum() > 300
    return float(np.corrcoef(told(population.beliefs)[signal][living], truth[living])[0, 1])


def test_forty_random_weeks_tell_who_tires_and_who_views() -> None:
    population = forty_weeks()
    traits = population.simulation.traits
    sensitivity = np.log(traits.fatigue_sensitivity)
    assert correlation(population, "sensitivity_score", sensitivity) > 0.4
    assert correlation(population, "log_sensitivity", sensitivity) > 0.4
    assert correlation(population, "base_logit", traits.base_logit) > 0.8
    for c, channel in enumerate(population.world.channels):
        response = np.log(traits.responsiveness[:, c])
        assert correlation(population, f"{channel}_response_score", response) > 0.25
    propensity = np.log(traits.dismissal_propensity)
    assert correlation(population, "dismissal_score", propensity) > 0.25


def test_habit_and_fatigue_follow_from_the_log() -> None:
    population = forty_weeks()
    state = population.simulation.state
    assert correlation(population, "habit", state.habit) > 0.99
    for c, channel in enumerate(population.world.channels):
        assert correlation(population, f"{channel}_fatigue", state.fatigue[:, c]) > 0.97
        believed = told(population.beliefs)[f"{channel}_fatigue"][population.alive]
        true = state.fatigue[population.alive, c]
        assert believed.mean() == pytest.approx(true.mean(), rel=0.05)


def test_the_beliefs_standard_deviation_is_that_of_their_errors() -> None:
    population = forty_weeks()
    living, observations = population.alive, told(population.beliefs)
    law = population.world.traits.fatigue_sensitivity_spread
    score = np.log(population.simulation.traits.fatigue_sensitivity) / law + law / 2
    # The grid's own sd stands for 1.
    grid = np.linspace(-2.8, 2.8, 16)
    score = score / np.sqrt(np.average(grid**2, weights=np.exp(-(grid**2) / 2)))
    for name, truth in (
        ("sensitivity_score", score),
        ("base_logit", population.simulation.traits.base_logit),
    ):
        off = (observations[name] - truth)[living] / observations[f"{name}_sd"][living]
        assert abs(off.mean()) < 0.35, name
        assert 0.75 < off.std() < 1.35, name


def test_two_types_are_told_apart() -> None:
    population = forty_weeks("two_type")
    tiring = population.simulation.traits.fatigue_sensitivity == 5
    living = population.alive
    weight = told(population.beliefs)["sensitivity_weight_1"]
    assert weight[living & tiring].mean() > 0.5 > 0.2 > weight[living & ~tiring].mean()


def test_where_nothing_tells_of_sensitivity_it_stays_as_it_was() -> None:
    w = load_world("null", {"dismissal.rate": 0})
    population = Population(w, 64, belief_filter=BeliefFilter(w))
    prior = told(population.beliefs)
    live_under_random_plans(population, 20)
    for name, believed in told(population.beliefs).items():
        if name.startswith(("sensitivity", "dismissal_score")):
            assert_allclose(believed, prior[name], atol=2e-3, err_msg=name)


def test_who_is_left_alone_tells_nothing_of_its_sensitivity() -> None:
    weeks = [week_of(3, views=[0, 3, 7])] * 10
    before, after = (
        told(seen(world("pronounced"), week_of(3))),
        told(seen(world("pronounced"), *weeks)),
    )
    for name in before:
        if name.startswith(("sensitivity", "dismissal", "push", "email")):
            assert_allclose(before[name], after[name], atol=1e-5, err_msg=name)


HEAVY = {"sends": [14, 7]}
SIGNS: dict[str, tuple[str, list[Log]]] = {
    "dismissals tell of sensitivity": (
        "sensitivity_score",
        [week_of(1, **HEAVY, dismissals=[d, d // 2]) for d in (0, 2, 5, 9)],
    ),
    "dismissals tell of propensity": (
        "dismissal_score",
        [week_of(1, **HEAVY, dismissals=[d, d // 2]) for d in (0, 2, 5, 9)],
    ),
    "opens tell of responsiveness": (
        "push_response_score",
        [week_of(1, **HEAVY, opens=[o, 0], views=o) for o in (0, 1, 3, 6)],
    ),
    "opens on one channel tell nothing good of tiring": (
        "log_sensitivity",
        [week_of(1, **HEAVY, opens=[o, 0]) for o in (6, 3, 1, 0)],
    ),
    "views tell of the base rate": ("base_logit", [week_of(1, views=v) for v in range(8)]),
    "views tell of habit": ("habit", [week_of(1, views=v) for v in range(8)]),
    "sends tire": ("email_fatigue", [week_of(1, sends=[0, s]) for s in range(8)]),
    "opened sends tire less": (
        "push_fatigue",
        [week_of(1, sends=[9, 0], opens=[o, 0]) for o in (9, 5, 1, 0)],
    ),
    "a dismissed heavy week makes a response less likely": (
        "push_response_kept",
        [week_of(1, **HEAVY, dismissals=[d, d // 2]) for d in (9, 5, 2, 0)],
    ),
}


@pytest.mark.parametrize("case", SIGNS)
def test_a_week_moves_beliefs_in_the_right_direction(case: str) -> None:
    signal, weeks = SIGNS[case]
    believed = [told(seen(world("pronounced"), week))[signal][0] for week in weeks]
    assert (np.diff(believed) > 1e-6).all(), believed


def test_a_filter_of_another_world_believes_something_else_of_the_same_log() -> None:
    week = week_of(1, **HEAVY, dismissals=[5, 2])
    shifted = load_world("pronounced", {"dismissal.rate": 0.6})
    one, other = (seen(w, week, week) for w in (world("pronounced"), shifted))
    assert told(one)["sensitivity_score"] > told(other)["sensitivity_score"]
    assert_array_equal(one.tables.fatigue, other.tables.fatigue)
