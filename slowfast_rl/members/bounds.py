"""Declare the meaning and the bounds of dataclass fields, and check the bounds."""

from dataclasses import Field, field, fields
from math import isfinite
from numbers import Integral
from reprlib import Repr
from typing import Any

LARGEST_COUNT = 2**63 - 1  # of what stores and files hold as int64
_LINE = 160  # characters of a value that a message quotes
_repr = Repr()
_repr.maxlevel, _repr.maxstring, _repr.maxlong, _repr.maxother = 3, 80, 40, 80
_repr.maxdict = _repr.maxlist = _repr.maxtuple = _repr.maxset = 8


def quoted(value: Any) -> str:
    """Return a value as a message quotes it: at most a line, with bounded work for any value."""
    try:
        text = _repr.repr(value)
    except ValueError:  # Python writes no whole number of more than some thousand digits
        return "a number of thousands of digits"
    return shortened(text, _LINE)


def shortened(text: str, most: int = 400) -> str:
    """Return a text in one line of at most ``most`` characters."""
    line = " ".join(text.splitlines())
    return line if len(line) <= most else f"{line[: most - 3]}..."


def described(text: str) -> Any:
    """Declare a required dataclass field without bounds; ``text`` is its meaning and unit."""
    return field(metadata={"text": text})


def bounded(
    text: str = "", low: float = float("-inf"), high: float = float("inf"), *, above: bool = False
) -> Any:
    """Declare a required dataclass field in [low, high], or (low, high] with ``above``."""
    return field(metadata={"text": text, "low": low, "high": high, "above": above})


def probability(text: str) -> Any:
    """Declare a dataclass field in [0, 1]."""
    return bounded(text, 0, 1)


def rate(text: str, high: float) -> Any:
    """Declare a dataclass field in [0, high]."""
    return bounded(text, 0, high)


def positive(text: str, high: float) -> Any:
    """Declare a dataclass field in (0, high]."""
    return bounded(text, 0, high, above=True)


def whole_number(name: str, value: Any, low: int = 0, high: int | None = None) -> int:
    """Return a whole number of Python or NumPy as Python's.

    Args:
        name: of the argument, for the message.
        value: the number.
        low: the smallest that is allowed.
        high: the largest that is allowed; None for any.

    Raises:
        ValueError: it is something else, such as a fraction, a truth value or a text, or outside.
    """
    allowed = f"{low} or more" if high is None else f"{low} to {high}"
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise ValueError(f"{name} is {quoted(value)}; allowed is a whole number, {allowed}")
    number = int(value)
    if number < low or (high is not None and number > high):
        raise ValueError(f"{name} is {quoted(number)}; allowed is {allowed}")
    return number


def check_bounds(instance: Any, where: str) -> None:
    """Check that every field of a dataclass is within its declared bounds.

    Args:
        instance: of a dataclass with fields of this module.
        where: a prefix of field names in error messages.

    Raises:
        ValueError: a field is outside its bounds, or no finite number.
    """
    for parameter in fields(instance):
        if "low" in parameter.metadata:
            value = getattr(instance, parameter.name)
            for number in value if isinstance(value, tuple) else (value,):
                _check(parameter, number, f"{where}.{parameter.name}")


def _check(parameter: Field[Any], number: Any, name: str) -> None:
    low, high = parameter.metadata["low"], parameter.metadata["high"]
    above = parameter.metadata["above"]
    if isinstance(number, bool) or not isinstance(number, int | float) or not _is_finite(number):
        raise ValueError(f"{name} is {quoted(number)}; a finite number is needed")
    if not low <= number <= high or (above and number == low):
        allowed = f"{'(' if above else '['}{low:g}, {high:g}]"
        raise ValueError(f"{name} is {number:g}; allowed is {allowed}")


def _is_finite(number: float) -> bool:
    try:
        return isfinite(number)
    except OverflowError:  # a whole number beyond the largest float
        return False
