"""Bounds of parameters, written in the field and checked at the door."""

from dataclasses import Field, field, fields
from math import isfinite
from typing import Any


def bounded(low: float = float("-inf"), high: float = float("inf"), *, above: bool = False) -> Any:
    """Declare a required dataclass field in [low, high], or (low, high] with ``above``."""
    return field(metadata={"low": low, "high": high, "above": above})


def probability() -> Any:
    """Declare a field in [0, 1]."""
    return bounded(0, 1)


def rate() -> Any:
    """Declare a field that is 0 or more."""
    return bounded(0)


def positive() -> Any:
    """Declare a field that is more than 0."""
    return bounded(0, above=True)


def check_bounds(instance: Any, where: str) -> None:
    """Raise ValueError for the first field of a dataclass that leaves its declared bounds."""
    for parameter in fields(instance):
        if "low" in parameter.metadata:
            value = getattr(instance, parameter.name)
            for number in value if isinstance(value, tuple) else (value,):
                _check(parameter, number, f"{where}.{parameter.name}")


def _check(parameter: Field[Any], number: Any, name: str) -> None:
    low, high = parameter.metadata["low"], parameter.metadata["high"]
    above = parameter.metadata["above"]
    if isinstance(number, bool) or not isinstance(number, int | float) or not isfinite(number):
        raise ValueError(f"{name} is {number!r}; a finite number is needed")
    if not low <= number <= high or (above and number == low):
        allowed = f"{'(' if above else '['}{low:g}, {high:g}]"
        raise ValueError(f"{name} is {number:g}; allowed is {allowed}")
