"""What a company would report, against what a world was given."""

import pytest

from slowfast_rl.evaluation.leaderboard import WEEKS_PER_MONTH
from slowfast_rl.evaluation.world.calibration import reported_rates, viewing_lift
from slowfast_rl.evaluation.world.sweeps import check_protocol, sweep
from slowfast_rl.members.loading import load_world
from tests.members.worlds import world

PROTOCOL = check_protocol(2048, 8, 0)


def test_rates_that_the_world_file_sets_directly_are_found_again() -> None:
    certain = load_world(
        "pronounced",
        {
            "churn.floor": 0.01,
            "churn.scale": 0,
            "opt_out.hazard": 0,
            "response.ceiling": 0,
            "response.tap": 0,
            "traits.opt_in": {"push": 0.61, "email": 1},
        },
    )
    rates = reported_rates(certain, PROTOCOL, (3, 2))
    assert rates.churn_per_month.low < 1 - 0.99**WEEKS_PER_MONTH < rates.churn_per_month.high
    assert rates.opt_in[0].low < 0.61 < rates.opt_in[0].high
    assert rates.opt_in[1] == (1, 1, 1)
    assert [v.mean for v in rates.opt_out_per_send] == [0, 0]
    assert [v.mean for v in rates.opt_out_per_week] == [0, 0]
    assert [v.mean for v in rates.open_rate] == [0, 0]
    assert sum(v.mean for v in rates.activity) == pytest.approx(1)


def test_members_that_view_alike_are_in_one_activity_group() -> None:
    daily = load_world(
        "null", {"traits.base_rate_high": 1, "traits.base_rate_location": -0.01,
                 "traits.base_rate_spread": 0}
    )  # fmt: skip
    assert reported_rates(daily, PROTOCOL, (1, 1)).activity[0].mean > 0.99


def test_opt_out_per_week_is_that_per_send_times_the_sends() -> None:
    rates = reported_rates(world("pronounced"), PROTOCOL, (7, 2), settling=0)
    pairs = zip(rates.opt_out_per_week, rates.opt_out_per_send, strict=True)
    ratio = [week.mean / send.mean for week, send in pairs]
    assert ratio == pytest.approx([7, 2], rel=0.05)


def test_the_lift_over_never_is_positive_where_messages_work_and_0_where_they_do_not() -> None:
    plans = ((0, 0), (3, 2))
    works = viewing_lift(sweep(world("pronounced"), check_protocol(256, 13, 0), plans), (3, 2))
    assert works is not None
    assert works.low > 0
    assert viewing_lift(sweep(world("null"), check_protocol(64, 13, 0), plans), (3, 2)) == (0, 0, 0)


def test_activity_needs_four_weeks() -> None:
    with pytest.raises(ValueError, match="weeks is 3; allowed is 4 or more"):
        reported_rates(world("null"), check_protocol(8, 3, 0), (1, 1))
