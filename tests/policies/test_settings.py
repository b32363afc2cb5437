"""Settings: one frozen dataclass field says type, bounds and text."""

from dataclasses import FrozenInstanceError, dataclass, fields

import numpy as np
import pytest

from slowfast_rl.policies.component import registered
from slowfast_rl.policies.settings import Settings, device_setting, setting, settings_text

KINDS = ("planner", "pacer", "ranker", "executor")
CLASSES = [cls for kind in KINDS for cls in registered(kind).values()]


@dataclass(frozen=True, kw_only=True)
class Example(Settings):
    count: int = setting(3, "members", low=1, high=10)
    share: float = setting(0.5, "of them", low=0, high=1, above=True, below=True)
    weight: float | None = setting(None, "of a send", low=0, high=1e6)
    flag: bool = setting(True, "whether")
    device: str = device_setting()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"count": 0}, "count is 0; allowed is a whole number from 1 to 10"),
        ({"count": 11}, "count is 11; allowed is a whole number from 1 to 10"),
        ({"count": 2.0}, r"count is 2\.0; allowed is a whole number"),
        ({"count": True}, "count is True; allowed is a whole number"),
        ({"count": None}, "count is None; allowed is a whole number"),
        ({"share": 0}, "share is 0; allowed is above 0 and below 1"),
        ({"share": 1}, "share is 1; allowed is above 0 and below 1"),
        ({"share": float("nan")}, "share is nan; allowed"),
        ({"share": "x"}, "share is 'x'; allowed"),
        ({"weight": -1}, r"weight is -1; allowed is 0 to 1e\+06"),
        ({"weight": float("inf")}, "weight is inf; allowed"),
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
        "count": 4, "share": 0.25, "weight": 2.0, "flag": False, "device": "cpu",
    }  # fmt: skip
    kinds = [int, float, float, bool, str]
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
