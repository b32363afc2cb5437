"""The launch calendar: from the luck seed and the week alone, Poisson, halving."""

from math import sqrt

import numpy as np
import pytest

from slowfast_rl.members.launches import launch_intensity
from slowfast_rl.members.loading import load_world
from slowfast_rl.members.population import Population
from tests.members.worlds import world

WEEKS = 4000


def launches(per_week: float = 1, seed: int = 3, weeks: int = WEEKS) -> np.ndarray:
    """Launches of each day and topic, [weeks, 7, D], from the intensities."""
    w = load_world("pronounced", {"launches.per_week": per_week})
    intensity = launch_intensity(w, seed, weeks).astype(np.float64)
    before = np.concatenate([np.zeros((1, w.num_topics)), intensity[:-1]])
    counts = intensity - before * 0.5 ** (1 / 4)
    whole = np.round(counts)
    assert np.abs(counts - whole).max() < 1e-4
    return whole.reshape(weeks, 7, w.num_topics)


@pytest.mark.parametrize("per_week", [0.3, 1, 6])
def test_the_number_of_launches_a_week_is_poisson(per_week: float) -> None:
    number = launches(per_week).sum(axis=(1, 2))
    assert number.mean() == pytest.approx(per_week, abs=4 * sqrt(per_week / WEEKS))
    spread = sqrt((per_week + 2 * per_week**2) / WEEKS)  # of the sample variance
    assert number.var() == pytest.approx(per_week, abs=4 * spread)


def test_launches_come_on_all_days_and_topics_alike() -> None:
    counts = launches(6).sum(axis=0)
    expected = WEEKS * 6 / counts.size
    assert np.abs(counts - expected).max() < 4 * sqrt(expected)


def test_the_mean_total_intensity_is_the_one_that_base_logits_assume() -> None:
    intensity = launch_intensity(world("pronounced"), 3, WEEKS).sum(axis=1)
    mean = (1 / 7) / (1 - 2 ** (-1 / 4))
    assert intensity.mean() == pytest.approx(mean, abs=4 * mean / sqrt(WEEKS))


def test_without_launches_there_is_no_intensity() -> None:
    assert not launches(0, weeks=50).any()


def test_a_longer_calendar_begins_with_the_shorter() -> None:
    short, long = (launch_intensity(world("pronounced"), 9, weeks) for weeks in (8, 80))
    assert np.array_equal(short, long[: len(short)])


def test_another_luck_seed_is_another_calendar() -> None:
    one, other = (launch_intensity(world("pronounced"), seed, 20) for seed in (1, 2))
    assert not np.array_equal(one, other)


def test_members_streams_and_populations_under_one_luck_seed_share_a_calendar() -> None:
    populations = [
        Population(world("pronounced"), 3, luck_seed=4),
        Population(world("pronounced"), 5, 8, luck_seed=4, luck_stream=2, first_member=99),
    ]
    one, other = (p.simulation.launches for p in populations)
    assert one.any()
    assert np.array_equal(one, other)


def test_the_calendar_grows_before_a_population_outlives_it() -> None:
    population = Population(world("in_app"), 1, luck_seed=4)
    nobody = np.zeros(1, np.int64)
    for _ in range(70 * population.world.slots_per_week):
        population.step(nobody)
    assert population.weeks[0] == 70
    assert len(population.simulation.launches) >= 71 * 7
    expected = launch_intensity(population.world, 4, 128)
    assert np.array_equal(
        population.simulation.launches, expected[: len(population.simulation.launches)]
    )


def test_rows_of_different_ages_read_the_calendar_at_their_own_week() -> None:
    often = load_world("pronounced", {"launches.per_week": 6})
    population = Population(often, 2, luck_seed=4)
    hold = np.zeros(2, np.int64)
    for _ in range(population.world.slots_per_week):
        population.step(hold)
    population.restart(np.array([1]))
    assert population.weeks.tolist() == [1, 0]
    population.step(hold)
    launches = population.simulation.launches.sum(axis=1)
    assert launches[7] != launches[0]
    for row, day in ((0, 7), (1, 0)):
        organic = population.world.organic
        logit = (
            population.simulation.traits.base_logit[row]
            + organic.habit_weight * population.simulation.state.habit[row]
            + organic.weekday_effect[0]
            + organic.launch_weight * launches[day]
        )
        assert population.simulation.state.p_day[row] == pytest.approx(
            1 / (1 + np.exp(-logit)), abs=1e-5
        )
