"""Views are checked at the door and survive JSON."""

import json
from typing import Any

import pytest

from slowfast_rl.store import Column, FeatureView, Status, plan_view

SCORE = {"score": Column("float32")}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "my view"}, "name 'my view'"),
        ({"columns": {"a/b": Column("int8")}}, "name 'a/b'"),
        ({"columns": {}}, "has no columns"),
        ({"max_age_seconds": 0}, "max_age_seconds 0: at least 1, or None"),
        ({"sticky_week": True}, "week=None: a scalar column 'week' of int32 or int64"),
        ({"sticky_week": True, "columns": {"week": Column("float32")}}, "float32"),
        ({"sticky_week": True, "columns": {"week": Column("int32", (1,))}}, "scalar column 'week'"),
    ],
)
def test_a_bad_view_is_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FeatureView(**{"name": "traits", "columns": SCORE, **arguments})


@pytest.mark.parametrize("dtype", ["object", "int", "<U8", "datetime64", "complex64", ""])
def test_a_column_of_another_dtype_is_named_with_what_is_allowed(dtype: str) -> None:
    with pytest.raises(ValueError, match=f"column dtype {dtype!r}: allowed are bool, int8"):
        Column(dtype)


def test_a_column_without_room_is_named() -> None:
    with pytest.raises(ValueError, match=r"column shape \(2, 0\)"):
        Column("int8", (2, 0))


def test_a_view_keeps_its_own_columns() -> None:
    columns = dict(SCORE)
    view = FeatureView("traits", columns)
    columns.clear()
    assert view.columns == SCORE


@pytest.mark.parametrize("view", [plan_view(3), FeatureView("traits", SCORE)])
def test_a_view_survives_json(view: FeatureView) -> None:
    assert FeatureView.from_json(json.loads(json.dumps(view.to_json()))) == view


def test_statuses_have_the_numbers_of_feast() -> None:
    assert {status.name: status.value for status in Status} == {
        "PRESENT": 1,
        "NOT_FOUND": 3,
        "OUTSIDE_MAX_AGE": 4,
    }
