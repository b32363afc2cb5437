"""Plans are checked where they are built."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from slowfast_rl.store import pacing_plan, plan_view


def test_scalars_serve_every_member_and_the_cap_equals_the_target() -> None:
    plan = pacing_plan([[3, 1], [0, 0]], week=4)
    assert_array_equal(plan.cap, [[3, 1], [0, 0]])
    assert_array_equal(plan.week, [4, 4])
    assert_array_equal(plan.shape, [0, 0])
    assert_array_equal(plan.policy_version, [0, 0])
    assert [column.dtype for column in plan] == ["int32", "int32", "int32", "int64", "int64"]


def test_a_plan_shares_no_array_with_its_maker_nor_cap_with_target() -> None:
    target = np.array([[3, 1]], np.int32)
    plan = pacing_plan(target, week=0)
    target[:] = 9
    plan.cap[:] = 8
    assert_array_equal(plan.target, [[3, 1]])


def test_a_plan_for_nobody_may_be_made_of_empty_lists() -> None:
    plan = pacing_plan(np.zeros((0, 2)), week=[], shape=[])
    assert [column.dtype for column in plan] == ["int32", "int32", "int32", "int64", "int64"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": [3, 1]}, r"plan target of shape \(2,\): allowed is \[B, C\]"),
        ({"target": [[3, -1]]}, "plan target -1: allowed are 0 to 2147483647"),
        ({"target": [[2**31, 1]]}, "plan target 2147483648"),
        ({"target": [[3.5, 1]]}, "plan target of dtype float64: allowed are integers"),
        ({"cap": [[2, 1]]}, "plan cap 2 is below a target of 3"),
        ({"cap": [4, 4]}, r"plan cap of shape \(2,\): allowed is \(1, 2\)"),
        ({"shape": -1}, "plan shape -1"),
        ({"week": -1}, "plan week -1"),
        ({"week": [1, 2]}, r"plan week of shape \(2,\): allowed is \(1,\)"),
        ({"policy_version": True}, "plan policy_version of dtype bool"),
    ],
)
def test_a_bad_plan_is_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pacing_plan(**{"target": [[3, 1]], "week": 0, **arguments})


def test_a_plan_view_needs_a_channel() -> None:
    with pytest.raises(ValueError, match=r"column shape \(0,\)"):
        plan_view(0)
