"""The kernels agree with the design's page, and the page's numbers with the world."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from slowfast_rl.members.beliefs import BeliefFilter, Beliefs
from slowfast_rl.members.constants import mean_pick
from slowfast_rl.members.state import DISMISSALS, LAST, OPENS, SENDS
from tests.members.belief_reference import BeliefPage
from tests.members.beliefs import believing, live_under_random_plans, week_of
from tests.members.worlds import world

WORLDS = ["pronounced", "calibrated", "two_type", "homogeneous", "null", "in_app", "eventful"]


def check_agrees(beliefs: Beliefs, pages: list[BeliefPage], tolerance: float = 2e-4) -> None:
    names = [feature.name for feature in beliefs.filter.features]
    for row, page in zip(beliefs.observations(), pages, strict=True):
        told = page.told()
        assert sorted(told) == sorted(names)
        assert_allclose(
            row, [told[name] for name in names], rtol=tolerance, atol=tolerance, err_msg=str(names)
        )
    for i, page in enumerate(pages):
        tables = beliefs.tables
        for mine, theirs in (
            (tables.sensitivity[i], page.weight),
            (tables.dismissal[i], page.dismissal),
            *zip(tables.response[i], page.response, strict=True),
        ):
            assert_allclose(mine / mine.max(), theirs / theirs.max(), atol=tolerance)
        assert_allclose(tables.base[i], page.b, atol=tolerance)
        assert_allclose(tables.base_variance[i], page.v, rtol=tolerance)
        assert_allclose(tables.goodwill[i], page.goodwill, atol=tolerance)


@pytest.mark.parametrize("name", WORLDS)
def test_weeks_as_they_are_lived_are_taken_in_as_on_the_page(name: str) -> None:
    population = believing(name, 12)
    pages = [BeliefPage(population.world) for _ in range(12)]
    check_agrees(population.beliefs, pages)
    for week in range(6):
        before = population.alive
        live_under_random_plans(population, 1, seed=week)
        log = population.simulation.log
        for i in np.flatnonzero(before & population.alive):
            channel = log.by_channel[i].astype(np.float64)
            counts = [channel[:, first + LAST] for first in (SENDS, OPENS, DISMISSALS)]
            pages[i].see(*counts, float(log.by_member[i, LAST]))
        check_agrees(population.beliefs, pages)
    assert population.alive.any()


# By hand: sends, opens, dismissals per channel, viewing days.
WEEKS = {
    "nothing": ([0, 0], [0, 0], [0, 0], 0),
    "silence and a view every day": ([0, 0], [0, 0], [0, 0], 7),
    "all opened": ([14, 7], [14, 7], [0, 0], 7),
    "all dismissed": ([14, 7], [0, 0], [14, 7], 0),
    "one channel": ([0, 3], [0, 1], [0, 2], 4),
    "opens without views": ([5, 0], [5, 0], [0, 0], 0),
}


@pytest.mark.parametrize("counts", WEEKS.values(), ids=WEEKS)
def test_any_week_is_taken_in_as_on_the_page(counts: tuple[list[int], ...]) -> None:
    w = world("pronounced")
    beliefs, page = Beliefs(BeliefFilter(w), 1), BeliefPage(w)
    sends, opens, dismissals, views = counts
    log = week_of(1, sends=sends, opens=opens, dismissals=dismissals, views=views)
    for _ in range(2):
        beliefs.update(log, np.ones(1, np.uint8))
        page.see(np.array(sends), np.array(opens), np.array(dismissals), views)
    check_agrees(beliefs, [page])


def test_the_mean_pick_is_that_of_the_best_quality_among_the_candidates() -> None:
    generator = np.random.default_rng(0)
    for name in ("pronounced", "in_app", "homogeneous"):
        w = world(name)
        quality = generator.normal(size=(400_000, w.num_candidates)).max(axis=1)
        logit = w.response.intercept + quality
        logit += w.response.taste_weight * generator.normal(size=len(quality))
        relevance = 1 / (1 + np.exp(-logit))
        assert mean_pick(w) == pytest.approx(relevance.mean(), abs=4 * relevance.std() / 632)
