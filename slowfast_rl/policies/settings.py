"""Settings of learners: frozen dataclasses whose fields carry bounds and documentation.

A setting is written once, as a field. Python, hydra, ``--help``, checkpoints and the
documentation all read it from there.
"""

import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, asdict, dataclass, field, fields
from math import inf, isfinite
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np

from slowfast_rl.members.bounds import quoted

_DEVICE = "device"
#: Inputs of networks are divided by their standard deviation, or by this if that is smaller.
MIN_SCALE = 0.01
_NAMES = {bool: "true or false", str: "text"}  # of types without bounds


def setting(
    default: Any,
    text: str,
    *,
    low: float = float("-inf"),
    high: float = float("inf"),
    above: bool = False,
    below: bool = False,
) -> Any:
    """Declare a field of :class:`Settings`.

    Args:
        default: the default.
        text: the meaning and the unit, for ``--help`` and the documentation.
        low: the smallest value that is allowed.
        high: the largest value that is allowed.
        above: whether the value must be above ``low``.
        below: whether the value must be below ``high``.
    """
    limits = {"low": low, "high": high, "above": above, "below": below}
    return field(default=default, metadata={"text": text, **limits})


def device_setting() -> Any:
    """Declare the field ``device`` of :class:`Settings`."""
    text = '"cpu" or "cuda"; the CPU where there is no GPU'
    return field(default="cpu", metadata={"text": text, "kind": _DEVICE})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Base class of all settings; subclasses declare fields with :func:`setting`.

    Types may be bool, int, float and str, each optionally ``| None``. NumPy's integers and floats
    are converted to Python's.

    Raises:
        ValueError: a value is of another type, or outside the bounds of its field.
    """

    def __post_init__(self) -> None:
        """Check every field."""
        hints = get_type_hints(type(self))
        for declared in fields(self):
            value = _checked(declared, getattr(self, declared.name), hints[declared.name])
            object.__setattr__(self, declared.name, value)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings by name, as values for JSON."""
        return asdict(self)


def settings_text(kind: type[Settings]) -> str:
    """Return the ``Args`` section of a docstring for these settings; empty if there are none."""
    lines = [
        f"    {f.name}: {f.metadata.get('text', '')} (default {f.default!r})." for f in fields(kind)
    ]
    return "\n".join(["Args:", *lines]) if lines else ""


def check_names(what: str, given: Mapping[str, Any], kind: type[Settings]) -> None:
    """Raise ValueError if a mapping names what is not one of the settings.

    A setting that is missing has its default, because the file may be older than the setting.
    """
    known = sorted(f.name for f in fields(kind))
    if not set(given) <= set(known):
        raise ValueError(f"{what} settings are {quoted(sorted(given))}; allowed: {known}")


def check_hints(what: str, kind: type[Settings]) -> None:
    """Raise ValueError if a field has a type that settings may not have."""
    hints = get_type_hints(kind)
    for declared in fields(kind):
        _kind_of(f"{what}.{declared.name}", hints[declared.name])


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number of Python or NumPy, and not a boolean."""
    return isinstance(value, Real) and not isinstance(value, bool) and isfinite(value)


def check_device(device: Any) -> None:
    """Check that a device is the CPU or a CUDA device, whether this machine has one or not.

    Raises:
        ValueError: it is neither the CPU nor a CUDA device.
    """
    if not re.fullmatch(r"(cpu|cuda)(:\d+)?", str(device)):
        raise ValueError(f"device is {quoted(device)}; allowed is cpu or cuda")


def _checked(declared: Field[Any], value: Any, hint: Any) -> Any:
    """Return the value of a field, converted to Python's types; raise ValueError if not allowed."""
    name = declared.name
    kind, optional = _kind_of(name, hint)
    if value is None and optional:
        return None
    if declared.metadata.get("kind") == _DEVICE:
        check_device(value)
        return value
    limits = declared.metadata
    if kind is bool:
        fits = isinstance(value, bool | np.bool_)
    elif kind is str:
        fits = isinstance(value, str)
    else:
        wanted = Integral if kind is int else Real
        fits = isinstance(value, wanted) and not isinstance(value, bool) and _is_finite(value)
        fits = fits and is_within(value, limits)
    if not fits:
        raise ValueError(f"{name} is {quoted(value)}; allowed is {allowed_values(declared, hint)}")
    return kind(value)


def is_within(value: Any, limits: Mapping[str, Any]) -> bool:
    """Return whether a number is within bounds, given as :func:`setting` keeps them."""
    low, high = limits.get("low", -inf), limits.get("high", inf)
    inside = low <= value <= high
    inside = inside and not (limits.get("above") and value == low)
    return inside and not (limits.get("below") and value == high)


def _kind_of(name: str, hint: Any) -> tuple[type, bool]:
    """Return a setting's type, and whether it may be None."""
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    found = [k for k in kinds if k is not NoneType]
    if len(found) != 1 or found[0] not in (bool, int, float, str):
        shown = getattr(hint, "__name__", hint) if not get_args(hint) else hint
        raise ValueError(
            f"{name} has type {shown}; allowed is bool, int, float or str, or one of them | None"
        )
    return found[0], NoneType in kinds


def _is_finite(value: Any) -> bool:
    try:
        return isfinite(value)
    except OverflowError:  # an integer that is too large for a float
        return False


def allowed_values(declared: Field[Any], hint: Any) -> str:
    """Return what a field of :class:`Settings` allows, in words.

    Args:
        declared: the field.
        hint: its type.
    """
    kind, optional = _kind_of(declared.name, hint)
    if declared.metadata.get("kind") == _DEVICE:
        what = "cpu or cuda"
    elif kind in _NAMES:
        what = _NAMES[kind]
    else:
        what = number_range(kind, declared.metadata)
    return f"{what}, or null" if optional else what


def number_range(kind: type, limits: Mapping[str, Any]) -> str:
    """Return the numbers between a field's bounds, in words."""
    low, high = limits.get("low", -inf), limits.get("high", inf)
    what = "a whole number " if kind is int else ""
    if not isfinite(low) and not isfinite(high):
        return f"{what or 'a finite number'}".strip()
    shown = [f"{v:.0f}" if kind is int and isfinite(v) else f"{v:g}" for v in (low, high)]
    if limits.get("above") or limits.get("below"):
        parts = [f"above {shown[0]}" if limits["above"] else f"{shown[0]} or more"]
        if isfinite(high):
            end = "below" if limits["below"] else "at most"
            parts.append(f"{end} {shown[1]}")
        return what + " and ".join(parts)
    if not isfinite(high):
        return f"{what}{shown[0]} or more"
    return f"{what}from {shown[0]} to {shown[1]}" if kind is int else f"{shown[0]} to {shown[1]}"


def default_of(declared: Field[Any]) -> Any:
    """Return the default of a field, None if it has no default."""
    return None if declared.default is MISSING else declared.default
