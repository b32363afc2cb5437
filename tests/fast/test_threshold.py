import numpy as np
import pytest
from numpy.testing import assert_array_equal

from slowfast_rl.fast import PacedExecutor, QualityRanker, ThresholdPacer
from slowfast_rl.members.observations import opportunity_observation
from slowfast_rl.members.population import Population
from slowfast_rl.policies.guard import NO_CAP
from tests.fast.cases import ranked
from tests.fast.test_rankers import shown
from tests.members.worlds import world


def test_what_reaches_the_threshold_is_sent_and_nothing_else():
    w = world("pronounced")
    population, other = (Population(w, 100, 3, 3) for _ in range(2))
    free = np.full((100, 2), NO_CAP, np.int32)
    week = PacedExecutor(ThresholdPacer(threshold=1.0), QualityRanker()).run_week(population, free)
    wanted = np.zeros((100, 2))
    for slot in w.schedule:
        quality = shown(other, "candidate_{}_quality").max(axis=1)
        send = (quality >= 1.0) & other.opted_in[:, slot.channel] & other.alive
        wanted[send, slot.channel] += 1
        other.step(np.where(send, ranked(other, QualityRanker()), 0))
    assert_array_equal(week.sends, wanted)
    assert (week.vetoed == 0).all()
    assert_array_equal(opportunity_observation(population), opportunity_observation(other))


def test_a_plan_caps_what_reaches_the_threshold():
    population = Population(world("pronounced"), 100, 3, 3)
    week = PacedExecutor(ThresholdPacer(threshold=-10.0)).run_week(
        population, np.full((100, 2), 2, np.int32)
    )
    assert week.sends.max() == 2
    assert week.vetoed.sum() > 0


@pytest.mark.parametrize("threshold", [float("nan"), float("inf"), "high", True, None])
def test_a_threshold_that_is_no_finite_number_is_refused(threshold):
    with pytest.raises(ValueError, match=r"threshold is .*; allowed is a finite number"):
        ThresholdPacer(threshold=threshold)
