"""Every registered planner, pacer, ranker and executor keeps the same contract."""

from collections.abc import Callable
from dataclasses import fields

import pytest

from slowfast_rl.policies.registry import registered
from tests.contracts.component_contract import (
    ComponentContract,
    FastContract,
    Part,
    SettingsContract,
    UntrainedContract,
)
from tests.contracts.parts import PARTS


def every(which: Callable[[Part], bool]) -> pytest.MarkDecorator:
    chosen = {f"{part.cls.kind} {part.cls.name}": part for part in PARTS if which(part)}
    return pytest.mark.parametrize("part", chosen.values(), ids=chosen)


@every(lambda part: True)
class TestComponent(ComponentContract):
    """The suite, once per registered class."""


@every(lambda part: bool(fields(part.cls.Settings)))
class TestSettings(SettingsContract):
    """The suite, once per registered class that has settings."""


@every(lambda part: hasattr(part.cls, "untrained"))
class TestUntrained(UntrainedContract):
    """The suite, once per registered planner and executor."""


@every(lambda part: part.executor is not None)
class TestFast(FastContract):
    """The suite, once per registered pacer, ranker and executor."""


@pytest.mark.parametrize("kind", ["planner", "pacer", "ranker", "executor"])
def test_every_registered_class_is_under_test(kind):
    tried = {part.cls for part in PARTS if part.cls.kind == kind}
    ours = {c for c in registered(kind).values() if c.__module__.startswith("slowfast_rl.")}
    assert tried == ours
    assert len(tried) >= 2
