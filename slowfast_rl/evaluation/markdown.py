"""Measurements as JSON and Markdown, for the tables of studies."""

from collections.abc import Sequence
from typing import Any

Numbers = Sequence[float]  # an interval: mean, low, high


def as_json(value: Any) -> Any:
    """Return a named tuple of results as a mapping, verdicts included, down to plain numbers."""
    if hasattr(value, "_asdict"):
        if set(value._fields) == {"mean", "low", "high"}:
            return list(value)
        verdicts = [n for n, v in vars(type(value)).items() if isinstance(v, property)]
        return {k: as_json(v) for k, v in value._asdict().items()} | {
            name: as_json(getattr(value, name)) for name in verdicts
        }
    if isinstance(value, dict):
        return {str(k): as_json(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(v) for v in value]
    return value.tolist() if hasattr(value, "tolist") else value


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table."""
    return [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)]


def says(holds: bool, fails: bool, numbers: str) -> str:
    """Return a verdict with its numbers; neither holding nor failing is not resolved."""
    return f"{'holds' if holds else '**fails**' if fails else 'not resolved'}: {numbers}"


def plan_text(plan: Sequence[int]) -> str:
    """Return a plan as "5 + 2"."""
    return " + ".join(str(sends) for sends in plan)


def number(v: Numbers, digits: int = 2) -> str:
    """Return an interval with signs."""
    return f"{v[0]:+.{digits}f} [{v[1]:+.{digits}f}, {v[2]:+.{digits}f}]"


def points(v: Numbers, digits: int = 2) -> str:
    """Return an interval of a difference of shares, in percentage points."""
    return number([100 * x for x in v], digits)


def percent(v: Numbers, digits: int = 2) -> str:
    """Return an interval of a share."""
    low, high = (f"{100 * x:.{digits}f}" for x in v[1:])
    return f"{100 * v[0]:.{digits}f} % [{low}, {high}]"
