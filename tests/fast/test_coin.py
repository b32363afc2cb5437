import numpy as np
import pytest
from numpy.testing import assert_array_equal

from slowfast_rl.fast import CoinPacer, PacedExecutor
from slowfast_rl.members.population import Population
from tests.fast.cases import rebuilt
from tests.members.worlds import world


def binomial(slots, share):
    """P(0), ..., P(slots) of independent coins."""
    law = np.ones(1)
    for _ in range(slots):
        law = np.convolve(law, [1 - share, share])
    return law


def pushes(target, cap, members=20_000):
    """Pushes in a week of members who were opted in all week, [B]."""
    population = Population(world("pronounced"), members)
    opted_in = population.opted_in[:, 0]
    wanted, most = (np.tile(np.array([[p, 0]], np.int32), (members, 1)) for p in (target, cap))
    week = PacedExecutor(CoinPacer()).run_week(population, wanted, most)
    assert (week.vetoed == 0).all()
    return week.sends[opted_in & (week.opt_outs[:, 0] == 0), 0].astype(int)


@pytest.mark.parametrize("target", [1, 5, 10])
def test_without_a_cap_sends_are_binomial_around_the_target(target):
    found = np.bincount(pushes(target, 99), minlength=15)
    expected = found.sum() * binomial(14, target / 14)
    common = expected > 10
    assert ((found - expected) ** 2 / expected)[common].sum() < 36.1  # 14 degrees, .1 %


def test_the_cap_cuts_the_coins_off_so_that_the_mean_stays_below_the_target():
    sends = pushes(3, 3)
    law = binomial(14, 3 / 14)
    capped = np.append(law[:3], law[3:].sum())
    found = np.bincount(sends, minlength=4)
    assert len(found) == 4
    expected = capped * len(sends)
    assert ((found - expected) ** 2 / expected).sum() < 16.3  # 3 degrees, .1 %
    assert sends.mean() < 2.6


def test_a_target_of_all_slots_sends_at_all_of_them_and_of_none_at_none():
    assert (pushes(14, 14, 200) == 14).all()
    assert (pushes(20, 20, 200) == 14).all()
    assert (pushes(0, 14, 200) == 0).all()


def test_coins_belong_to_the_luck_and_reach_only_those_who_are_opted_in():
    w, target = world("eventful"), np.full((300, 2), 3, np.int32)
    sends = []
    for luck in (1, 1, 2):
        population = Population(w, 300, 0, luck)
        before = population.opted_in
        week = PacedExecutor(CoinPacer()).run_week(population, target)
        assert (week.sends[~before] == 0).all()
        assert (week.ignored == 0).all()
        sends.append(week.sends)
    assert_array_equal(sends[0], sends[1])
    assert not np.array_equal(sends[0], sends[2])


def test_a_pacer_without_parameters_has_no_state():
    assert isinstance(rebuilt(CoinPacer()), CoinPacer)
    with pytest.raises(ValueError, match=r"coin has state .*share.*; allowed: parameters"):
        rebuilt(CoinPacer(), {"share": 1})
