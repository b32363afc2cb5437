"""Now against later, on made-up numbers and in worlds whose answer is known."""

import numpy as np
import pytest

from slowfast_rl.evaluation.world.horizons import cumulative_reward, overtaking, tension
from slowfast_rl.evaluation.world.sweeps import check_protocol, sweep
from tests.members.worlds import world


def race(*ahead: float) -> tuple[np.ndarray, np.ndarray]:
    """Return two plans' cumulative rewards [W, 2] that differ by these, with some spread."""
    near = np.tile(np.arange(len(ahead), dtype=float)[:, None], (1, 2))
    return near + np.array(ahead)[:, None] + np.array([-0.1, 0.1]), near


def test_overtaking_is_the_week_after_which_far_stays_ahead() -> None:
    result = overtaking(*race(-1, 1, -1, 0.1, 2))
    assert result.week == 4
    assert (result.earliest, result.latest) == (4, 5)


def test_a_plan_that_never_stays_ahead_never_overtakes() -> None:
    assert overtaking(*race(1, 2, -1)).week is None


def test_a_plan_that_is_always_ahead_has_overtaken_in_the_first_week() -> None:
    assert overtaking(*race(1, 2, 3)).week == 1


def test_cumulative_reward_ends_at_the_sweeps_return() -> None:
    protocol = check_protocol(16, 4, 2, lucks=2)
    rewards = cumulative_reward(world("pronounced"), protocol, (3, 1))
    lived = sweep(world("pronounced"), protocol, ((3, 1),))
    assert rewards[-1] == pytest.approx(lived.returns[4][0])
    assert rewards[1] == pytest.approx(lived.returns[2][0])
    assert rewards.mean(axis=1) == pytest.approx(lived.curve[0])


PLANS = ((0, 0), (5, 2), (14, 7))


def test_soon_and_late_need_different_plans() -> None:
    lived = sweep(world("pronounced"), check_protocol(1024, 26, 0, lucks=2), PLANS)
    result = tension(lived, 1, 26)
    assert result.holds
    assert (result.near_plan, result.far_plan) == ((14, 7), (5, 2))


@pytest.mark.parametrize(("name", "best"), [("no_fatigue", (14, 7)), ("null", (0, 0))])
def test_without_fatigue_or_effect_soon_and_late_need_the_same_plan(
    name: str, best: tuple[int, int]
) -> None:
    lived = sweep(world(name), check_protocol(256, 26, 0), PLANS)
    result = tension(lived, 1, 26)
    assert not result.holds
    assert result.near_plan == result.far_plan == best
