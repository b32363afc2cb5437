"""Property 6: open rate against uplift, where they disagree and where they need not."""

from dataclasses import replace

import pytest

from slowfast_rl.evaluation.world.sweeps import check_protocol
from slowfast_rl.evaluation.world.uplift import ranking
from slowfast_rl.members.loading import load_world
from tests.members.worlds import world

PROTOCOL = check_protocol(2048, 4, 8, lucks=4)
PLAN = (3, 2)


def test_open_rates_over_credit_heavy_viewers_and_pick_the_wrong_ones() -> None:
    measured = ranking(world("pronounced"), PROTOCOL, PLAN)
    assert measured.holds
    assert measured.open_rate[2].low > measured.open_rate[0].high
    assert measured.uplift[2].high < measured.uplift[1].low


def test_members_that_view_alike_are_not_over_credited() -> None:
    same = load_world("pronounced", {"traits.base_rate_spread": 0})
    measured = ranking(same, PROTOCOL, PLAN)
    assert measured.over_credit is not None
    assert measured.over_credit.low < 0 < measured.over_credit.high
    assert not measured.holds


def test_messages_that_do_nothing_have_no_uplift_to_compare_with() -> None:
    measured = ranking(world("null"), PROTOCOL, PLAN)
    assert measured.over_credit is None
    assert not measured.holds
    assert [v.mean for v in measured.uplift] == [0, 0, 0]
    assert measured.open_rate[2].low > measured.open_rate[0].high > 0


def test_one_luck_cannot_both_rank_and_measure() -> None:
    with pytest.raises(ValueError, match="allowed is 2 or more"):
        ranking(world("null"), replace(PROTOCOL, streams=(0,)), PLAN)
