"""Property 5: what logs overstate, where there is something to overstate and where there is not."""

import numpy as np
import pytest

from slowfast_rl.evaluation.statistics import mean_interval
from slowfast_rl.evaluation.world.confounding import confounding, slope
from slowfast_rl.evaluation.world.sweeps import check_protocol
from tests.members.worlds import world

LADDER = ((1, 1), (3, 1), (5, 2), (10, 5))
PROTOCOL = check_protocol(1024, 8, 4)


def test_a_log_that_writes_to_the_active_overstates_the_effect_of_messages() -> None:
    measured = confounding(world("pronounced"), PROTOCOL, LADDER)
    assert measured.viewing.holds
    assert measured.viewing.logged.mean > 5 * measured.viewing.caused.mean > 0


def test_a_randomised_log_shows_the_effect_itself() -> None:
    measured = confounding(world("pronounced"), PROTOCOL, LADDER, random_share=1)
    for outcome in (measured.viewing, measured.retention):
        assert not outcome.holds
        assert outcome.overstated.low < 0 < outcome.overstated.high


def test_where_messages_do_nothing_the_log_still_shows_an_effect() -> None:
    measured = confounding(world("null"), PROTOCOL, LADDER)
    assert measured.viewing.caused == measured.retention.caused == (0, 0, 0)
    assert measured.viewing.holds


def test_members_that_do_not_differ_confound_little() -> None:
    measured = confounding(world("homogeneous"), PROTOCOL, LADDER)
    differing = confounding(world("pronounced"), PROTOCOL, LADDER)
    assert measured.viewing.overstated.mean < differing.viewing.overstated.mean / 2


def test_a_slope_is_that_of_least_squares_with_its_sandwich_interval() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(1, 9, 400).astype(float)
    y = 2 - 0.5 * x + rng.normal(size=400) * x
    interval = mean_interval(slope(x, y))
    assert interval.mean == pytest.approx(np.polyfit(x, y, 1)[0])
    away, residual = x - x.mean(), y - np.polyval(np.polyfit(x, y, 1), x)
    error = np.sqrt(((away * residual) ** 2).sum()) / (away**2).sum()
    assert interval.high - interval.mean == pytest.approx(1.96 * error, rel=0.01)


def test_a_ladder_of_one_plan_and_a_share_above_one_are_refused() -> None:
    with pytest.raises(ValueError, match="ladder has 1 plans; allowed is 2 or more"):
        confounding(world("null"), PROTOCOL, LADDER[:1])
    with pytest.raises(ValueError, match=r"random_share is 1.5; allowed is 0 to 1"):
        confounding(world("null"), PROTOCOL, LADDER, 1.5)
