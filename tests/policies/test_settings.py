"""Settings: one frozen dataclass field says type, bounds and text."""

from dataclasses import FrozenInstanceError, dataclass, fields
from math import isfinite
from typing import Literal

import numpy as np
import pytest

from slowfast_rl.fast import AffinityRanker, UpliftRanker
from slowfast_rl.policies.registry import registered
from slowfast_rl.policies.settings import (
    Settings,
    check_names,
    device_setting,
    setting,
    settings_text,
)

KINDS = ("planner", "pacer", "ranker", "executor")
CLASSES = [cls for kind in KINDS for cls in registered(kind).values()]


@dataclass(frozen=True, kw_only=True)
class Example(Settings):
    count: int = setting(3, "members", low=1, high=10)
    share: float = setting(0.5, "of them", low=0, high=1, above=True, below=True)
    weight: float | None = setting(None, "of a send", low=0, high=1e6)
    free: float = setting(0.0, "without bounds")
    flag: bool = setting(True, "whether")
    device: str = device_setting()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"count": 0}, "count is 0; allowed is a whole number from 1 to 10"),
        ({"count": 11}, "count is 11; allowed is a whole number from 1 to 10"),
        ({"count": 2.0}, r"count is 2\.0; allowed is a whole number"),
        ({"count": 2.5}, r"count is 2\.5; allowed is a whole number from 1 to 10"),
        ({"count": np.float64(2.5)}, r"count is .*2\.5\)?; allowed is a whole number from 1 to 10"),
        ({"count": np.int64(11)}, r"count is .*11\)?; allowed is a whole number from 1 to 10"),
        ({"count": True}, "count is True; allowed is a whole number"),
        ({"count": np.bool_(1)}, r"count is .*[Tt]rue.*; allowed is a whole number"),
        ({"share": True}, "share is True; allowed is above 0 and below 1"),
        ({"share": np.float32("nan")}, "share is .*nan.*; allowed is above 0 and below 1"),
        ({"count": None}, "count is None; allowed is a whole number"),
        ({"share": 0}, "share is 0; allowed is above 0 and below 1"),
        ({"share": 1}, "share is 1; allowed is above 0 and below 1"),
        ({"share": float("nan")}, "share is nan; allowed"),
        ({"share": "x"}, "share is 'x'; allowed"),
        ({"weight": -1}, r"weight is -1; allowed is 0 to 1e\+06"),
        ({"weight": float("inf")}, "weight is inf; allowed"),
        ({"weight": 10**400}, r"weight is 10+\.\.\.0+; allowed is 0 to 1e\+06"),
        ({"free": 10**400}, r"free is 10+\.\.\.0+; allowed is a finite number"),
        ({"flag": 1}, "flag is 1; allowed is true or false"),
        ({"device": "toaster"}, "device is 'toaster'; allowed is cpu or cuda"),
    ],
)
def test_a_value_outside_what_is_allowed_is_refused_in_one_line(values, message):
    with pytest.raises(ValueError, match=message) as raised:
        Example(**values)
    assert "\n" not in str(raised.value)


def test_numbers_of_numpy_are_taken_and_become_pythons():
    made = Example(count=np.int32(4), share=np.float32(0.25), weight=np.int64(2), flag=np.bool_(0))
    assert made.to_dict() == {
        "count": 4, "share": 0.25, "weight": 2.0, "free": 0.0, "flag": False, "device": "cpu",
    }  # fmt: skip
    kinds = [int, float, float, float, bool, str]
    assert [type(value) for value in made.to_dict().values()] == kinds


def test_settings_cannot_be_changed_afterwards():
    with pytest.raises(FrozenInstanceError):
        Example().count = 5


def test_the_docstring_shows_every_setting_with_its_text_and_default():
    text = settings_text(Example)
    assert "count: members (default 3)." in text
    assert "weight: of a send (default None)." in text


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: f"{cls.kind} {cls.name}")
def test_every_registered_class_documents_its_settings_and_takes_its_defaults(cls):
    for declared in fields(cls.Settings):
        assert declared.metadata["text"]
        assert declared.metadata["text"] in cls.__doc__ or "__init__" in cls.__dict__
    assert cls.Settings(**cls.Settings().to_dict()) == cls.Settings()


def refused(cls, name, value):
    """Whether one value of a class's settings is refused, in one line that names it."""
    try:
        cls.Settings(**{name: value})
    except ValueError as error:
        return str(error).startswith(f"{name} is {value!r}; allowed is ") and "\n" not in str(error)
    return False


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: f"{cls.kind} {cls.name}")
def test_every_setting_of_every_registered_class_keeps_its_bounds_and_type(cls):
    for declared in fields(cls.Settings):
        name, default = declared.name, declared.default
        assert refused(cls, name, "x" if name != "device" else "toaster")
        if isinstance(default, bool):
            assert refused(cls, name, 1)
        elif not isinstance(default, str):
            given = np.float64(1) if default is None else np.array(default)[()]
            found = getattr(cls.Settings(**{name: given}), name)
            assert found == given
            assert type(found) is (float if default is None else type(default))
            assert refused(cls, name, True)
            assert refused(cls, name, float("nan"))
            assert not isinstance(default, int) or refused(cls, name, default + 0.5)
            for bound, beyond in (("low", -1), ("high", 1)):
                limit = declared.metadata[bound]
                if isfinite(limit):
                    assert refused(cls, name, limit + beyond)


def test_settings_are_given_as_one_object_of_the_class_or_each_by_its_name():
    made = AffinityRanker(AffinityRanker(weeks=3).settings)
    assert made.settings == AffinityRanker.Settings(weeks=3)
    for wrong in (UpliftRanker().settings, {"weeks": 3}, 3):
        with pytest.raises(ValueError, match=r"settings of AffinityRanker is .*; allowed is a A"):
            AffinityRanker(wrong)
    with pytest.raises(TypeError, match="wekks"):
        AffinityRanker(wekks=3)
    with pytest.raises(ValueError, match=r"given as one object and by name \(weeks\)"):
        AffinityRanker(made.settings, weeks=4)


@pytest.mark.parametrize("given", [{"colour": 1}, {**Example().to_dict(), "colour": 1}])
def test_names_of_a_file_that_are_unknown_are_refused_and_missing_ones_are_not(given):
    known = ["count", "device", "flag", "free", "share", "weight"]
    for fits in ({}, {"count": 3}, Example().to_dict()):
        check_names("example", fits, Example)
    with pytest.raises(ValueError, match=r"example settings are \[.*\]; allowed: \[") as raised:
        check_names("example", given, Example)
    assert str(raised.value).endswith(str(known))
    assert str(sorted(given)) in str(raised.value)


def test_a_field_without_setting_is_checked_by_its_type():
    @dataclass(frozen=True, kw_only=True)
    class Bare(Settings):
        count: int = 3

    assert Bare(count=np.int64(5)).count == 5
    with pytest.raises(ValueError, match="count is 'x'; allowed is a whole number"):
        Bare(count="x")


@pytest.mark.parametrize("hint", [tuple[int, ...], Literal["a", "b"], list, int | str, None])
def test_a_type_that_settings_cannot_have_is_refused_by_name(hint):
    made = dataclass(frozen=True, kw_only=True)(
        type("Odd", (Settings,), {"__annotations__": {"odd": hint}, "odd": setting(1, "odd")})
    )
    with pytest.raises(ValueError, match=r"odd has type .*; allowed is bool, int, float or str"):
        made()
