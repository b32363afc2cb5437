"""Checks of user-defined classes, with one-line errors."""

import inspect
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, cast

import numpy as np

from slowfast_rl.policies.component import BASES, Component
from slowfast_rl.policies.settings import Settings, check_hints

KINDS = ("planner", "pacer", "ranker", "executor")


def check_class(cls: Any, kind: str | None = None) -> None:
    """Raise a ValueError that names the error in a user's class, before the class is used.

    Args:
        cls: the class.
        kind: the kind that it must have; None for any.
    """
    if not (inspect.isclass(cls) and issubclass(cls, Component)):
        name = getattr(cls, "__name__", repr(cls))
        wanted = f"a {kind}: derive it from Base{kind.title()}" if kind else "a component"
        raise ValueError(f"{name} is not {wanted}")
    its_kind = getattr(cls, "kind", None)
    if kind is not None and its_kind != kind:
        raise ValueError(
            f"{cls.__name__} is no {kind} but a {its_kind or 'component'}; "
            f"derive it from Base{kind.title()}"
        )
    base: Any = BASES.get(str(its_kind))
    if its_kind not in KINDS or not issubclass(cls, base):
        bases = ", ".join(f"Base{k.title()}" for k in KINDS)
        raise ValueError(f"{cls.__name__} is none of the parts; derive it from one of {bases}")
    if not isinstance(cls.name, str) or not cls.name:
        raise ValueError(f'{cls.__name__} has no name; give the class one, as in name = "mine"')
    own = cls.Settings
    if not (inspect.isclass(own) and issubclass(own, Settings)):
        raise ValueError(f"{cls.__name__}.Settings is {own!r}; allowed is a subclass of Settings")
    if inspect.get_annotations(own) and "__dataclass_fields__" not in own.__dict__:
        raise ValueError(
            f"{cls.__name__}.Settings is no dataclass; decorate it with "
            "@dataclass(frozen=True, kw_only=True)"
        )
    if is_dataclass(own) and not all("text" in f.metadata for f in fields(own)):
        names = [f.name for f in fields(own) if "text" not in f.metadata]
        raise ValueError(
            f"{cls.__name__}.Settings has {names} without a text; declare fields with setting(…)"
        )
    if is_dataclass(own):
        check_hints(f"{cls.__name__}.Settings", own)
    parts = cls.parts
    if not isinstance(parts, Mapping) or not all(part in KINDS for part in parts.values()):
        raise ValueError(
            f"{cls.__name__}.parts is {parts!r}; allowed is the kind of each attribute, as in "
            '{"ranker": "ranker"}'
        )
    filled = [all(getattr(cls, m) is not getattr(base, m) for m in ms) for ms in cls.fill_in]
    if not any(filled):
        wanted = " or ".join(" and ".join(methods) for methods in cls.fill_in)
        raise ValueError(f"{cls.__name__} lacks {wanted}; define it")
    if cls.learns:
        _check_learn(cls, "learn", "world", cls.learn_arguments)
    if cls.learns_from_logs:
        _check_learn(cls, "learn_from_log", "log", cls.log_arguments)
    saved, rebuilt = cls.state is not base.state, rebuilds(cls)
    if saved != rebuilt:
        has, lacks = ("state", "from_state") if saved else ("from_state", "state")
        raise ValueError(f"{cls.__name__} defines {has} and lacks {lacks}; define both or neither")
    vector, learns = cls.vector, cls.learns or cls.learns_from_logs
    if learns and not saved and not vector:
        raise ValueError(
            f"{cls.__name__} learns and has no state, so that what it learns would not be saved; "
            "define state and from_state"
        )
    if learns and vector and cast(Any, cls).function is base.function:
        untrained = getattr(cls, vector)
        if isinstance(untrained, np.ndarray) and not untrained.size:
            raise ValueError(
                f"{cls.__name__} learns and has no {vector} before; give the class those that it "
                f"begins with, as in {vector} = np.zeros(1, np.float32)"
            )


def rebuilds(cls: type[Component]) -> bool:
    """Return whether a class, or one that it derives from, has a ``from_state`` of its own."""
    own: Any = cls.from_state
    base: Any = BASES[cls.kind].from_state
    return own.__func__ is not base.__func__


def _check_learn(cls: type[Component], method: str, first: str, arguments: tuple[str, ...]) -> None:
    """Raise ValueError if the agent cannot call a method that learns.

    Args:
        cls: the class.
        method: the name of the method.
        first: the name of what it learns from, its first argument.
        arguments: the names of the other arguments that the agent passes.
    """
    given = ("self", first, *arguments)
    parameters = inspect.signature(getattr(cls, method)).parameters
    positional = [p for p in parameters.values() if p.kind is not p.KEYWORD_ONLY]
    takes_any = any(p.kind is p.VAR_POSITIONAL for p in positional)
    if not takes_any and [p.name for p in positional[1:2]] != [first]:
        raise ValueError(
            f"{cls.__name__}.{method} takes no {first}; allowed is {method}(self, {first}, …)"
        )
    for name, parameter in parameters.items():
        variadic = parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        if parameter.default is parameter.empty and not variadic and name not in given:
            raise ValueError(
                f"{cls.__name__}.{method} needs {name!r}, which the agent does not give; allowed: "
                f"{', '.join(given[1:])}"
            )
