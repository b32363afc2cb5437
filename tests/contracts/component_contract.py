"""What every planner, pacer, ranker and executor keeps to, whatever it does."""

import json
from collections.abc import Callable
from dataclasses import Field, fields
from math import isfinite
from types import NoneType
from typing import Any, NamedTuple, get_args, get_type_hints

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from slowfast_rl.members.population import Population
from slowfast_rl.members.world import World
from slowfast_rl.policies.class_checks import check_class
from slowfast_rl.policies.component import Component
from slowfast_rl.policies.component_files import from_node, to_node
from slowfast_rl.policies.contracts import Executor
from slowfast_rl.policies.registry import registered
from tests.members.worlds import world


class Part(NamedTuple):
    """A registered class as the suite tries it."""

    cls: type[Component]
    trained: Callable[[World], Any]  # one that knows a world, as after training
    decide: Callable[[Any, World], np.ndarray]  # plans, or sends of some weeks
    beside: dict[str, dict[str, Any]]  # other settings that a setting's bounds need
    executor: Callable[[Any], Executor] | None = None  # a fast policy with it


def refused(cls: type[Component], values: dict[str, Any]) -> str:
    with pytest.raises(ValueError, match="allowed is") as raised:
        cls.Settings(**values)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def kind_of(cls: type[Component], declared: Field[Any]) -> tuple[type, bool]:
    """A setting's type, and whether it may be None."""
    hint = get_type_hints(cls.Settings)[declared.name]
    kinds = get_args(hint) or (hint,)
    return next(k for k in kinds if k is not NoneType), NoneType in kinds


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


class ComponentContract:
    """Subclass it with `part` parametrised over registered classes."""

    def test_it_is_complete_and_found_by_its_name(self, part: Part) -> None:
        check_class(part.cls, part.cls.kind)
        assert registered(part.cls.kind)[part.cls.name] is part.cls

    def test_it_comes_back_from_json_and_arrays_and_decides_the_same(self, part: Part) -> None:
        w, arrays = world("pronounced"), {}
        made = part.trained(w)
        node = json.loads(json.dumps(to_node(made, "part", arrays), allow_nan=False))
        again = from_node(node, part.cls.kind, w, "part", arrays)
        assert type(again) is part.cls
        assert again.settings == made.settings
        assert same(again.state(), made.state())
        decided = part.decide(made, w)
        assert_array_equal(part.decide(again, w), decided)
        assert decided.any()

    def test_a_state_with_something_else_in_it_is_refused_in_one_line(self, part: Part) -> None:
        w, arrays = world("pronounced"), {}
        node = to_node(part.trained(w), "part", arrays)
        for more in ({"state": node["state"] | {"odd": 1}}, {"settings": {"odd": 1}}):
            with pytest.raises(ValueError, match=r"allowed|needed|unknown") as raised:
                from_node(node | more, part.cls.kind, w, "part", arrays)
            assert "\n" not in str(raised.value)


class SettingsContract:
    """Subclass it with `part` parametrised over registered classes that have settings."""

    def test_numbers_are_taken_within_their_bounds_and_refused_outside(self, part: Part) -> None:
        for declared in fields(part.cls.Settings):
            name, (kind, _) = declared.name, kind_of(part.cls, declared)
            if kind not in (int, float):
                continue
            limits, beside = declared.metadata, part.beside.get(name, {})
            for end, open_end, away in (("low", "above", -1), ("high", "below", 1)):
                bound = limits[end]
                if not isfinite(bound):
                    continue
                outside = [kind(bound + away)] + [kind(bound)] * limits[open_end]
                for value in outside:
                    assert f"{name} is {value!r}" in refused(part.cls, beside | {name: value})
                inside = bound - 1e-3 * away if limits[open_end] else bound
                made = part.cls.Settings(**beside | {name: kind(inside)})
                assert getattr(made, name) == inside

    def test_values_of_another_type_are_refused(self, part: Part) -> None:
        for declared in fields(part.cls.Settings):
            name, (kind, optional) = declared.name, kind_of(part.cls, declared)
            wrong = {bool: [1, "x"], str: [3, "toaster"]}.get(kind, ["3", True, float("nan")])
            for value in [*wrong, *([2.5] if kind is int else []), *([] if optional else [None])]:
                assert f"{name} is {value!r}" in refused(part.cls, {name: value})
            if optional:
                assert getattr(part.cls.Settings(**{name: None}), name) is None

    def test_numbers_of_numpy_are_taken_and_become_pythons(self, part: Part) -> None:
        numpys: dict[type, Callable[[Any], Any]] = {
            bool: np.bool_, int: np.int64, float: np.float64, str: str,
        }  # fmt: skip
        given = {
            name: None if value is None else numpys[type(value)](value)
            for name, value in part.cls.Settings().to_dict().items()
        }
        made = part.cls.Settings(**given)
        assert made == part.cls.Settings()
        for declared in fields(part.cls.Settings):
            value, (kind, _) = getattr(made, declared.name), kind_of(part.cls, declared)
            assert value is None or type(value) is kind

    def test_an_unknown_setting_is_refused(self, part: Part) -> None:
        with pytest.raises(TypeError, match="colour"):
            part.cls.Settings(colour="red")


class UntrainedContract:
    """Subclass it with `part` parametrised over planners and executors."""

    def test_what_it_begins_with_is_another_one_and_leaves_it_as_it_was(self, part: Part) -> None:
        w = world("pronounced")
        made = part.trained(w)
        state, decided = made.state(), part.decide(made, w)
        fresh = made.untrained(w, 1)
        assert fresh is not made
        assert fresh is None or type(fresh) is part.cls
        if fresh is not None:
            assert fresh.settings == made.settings
        assert same(made.state(), state)
        assert_array_equal(part.decide(made, w), decided)


class FastContract:
    """Subclass it with `part` parametrised over pacers, rankers and executors."""

    def test_plans_that_cannot_be_kept_are_cut_to_what_may_be_sent(self, part: Part) -> None:
        assert part.executor is not None
        for name in ("eventful", "in_app"):
            w = world(name)
            population = Population(w, 120, 5, 5)
            executor, sent = part.executor(part.trained(w)), 0
            target = np.full((120, len(w.channels)), 9, np.int32)
            cap = np.random.default_rng(0).integers(0, 3, target.shape).astype(np.int32)
            for _ in range(5):
                opted_in = population.opted_in & population.alive[:, None]
                week = executor.run_week(population, target, cap)
                assert (week.sends <= cap).all()
                assert not week.sends[~opted_in].any()
                sent += week.sends.sum()
            assert sent > 0
            assert not population.opted_in.all()
