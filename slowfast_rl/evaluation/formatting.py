"""Measurements as JSON and Markdown, for the tables of studies."""

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from string import Formatter
from typing import Any

Numbers = Sequence[float]  # an interval: mean, low, high
NOTHING = "–"  # where there is no number
_BETWEEN = {"+": " + ", "/": " / ", ";": "; "}  # items, by the last character of a format


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


def paragraphs(*texts: str) -> str:
    """Return texts with blank lines between them; an empty one is left out."""
    return "\n\n".join(text for text in texts if text)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of rows of cells."""
    lines = (header, ["---"] * len(header), *rows)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


class _Cells(Formatter):
    """Formats of :func:`table_of`."""

    def format_field(self, value: Any, spec: str) -> str:
        """Return a value as its format wants it."""
        if value is None:
            return NOTHING
        if spec[-1:] in _BETWEEN:
            return _BETWEEN[spec[-1]].join(self.format_field(item, spec[:-1]) for item in value)
        if spec.endswith(" %"):
            return f"{100 * value:{spec[:-2]}f} %"
        if spec.endswith("i%"):
            return percent(value, int(spec[1:-2]))
        if spec.endswith("i"):
            return number(value, int(spec.partition(".")[2][:-1]), signed=spec[0] == "+")
        return str(super().format_field(value, spec))


def table_of(header: str, row: str, rows: Iterable[Mapping[str, Any]]) -> str:
    """Return a table with a row for each of some results.

    Args:
        header: the columns' names, as "world | seed | return".
        row: a format of their cells, as "{world} | {seed} | {return:+.2i}". Beside Python's
            formats, "+.2i" and ".2i" show an interval with and without signs, ".2i%" one of a
            share, ".2 %" a share; a last "+", "/" or ";" shows each item of a list, with that
            between them: "+" is a plan. What is None is shown as a dash.
        rows: what the table is about.
    """
    lines = (header, " | ".join(["---"] * (header.count(" | ") + 1)))
    cells = _Cells()
    return "\n".join(f"| {line} |" for line in (*lines, *(cells.format(row, **r) for r in rows)))


def verdict(holds: bool, fails: bool, numbers: str) -> str:
    """Return a verdict with its numbers; neither holding nor failing is not resolved."""
    return f"{'holds' if holds else '**fails**' if fails else 'not resolved'}: {numbers}"


def plan_text(plan: Sequence[int]) -> str:
    """Return a plan as "5 + 2"."""
    return " + ".join(str(sends) for sends in plan)


def number(v: Numbers | None, digits: int = 2, signed: bool = True) -> str:
    """Return an interval in brackets after its mean, with signs unless they are not wanted.

    The interval of a single value, whose ends are infinite, is left out.
    """
    if v is None:
        return NOTHING
    mean, low, high = (f"{x:{'+' if signed else ''}.{digits}f}" for x in v)
    return f"{mean} [{low}, {high}]" if all(map(isfinite, v[1:])) else mean


def half(v: Numbers | None, digits: int = 2, sign: str = "+") -> str:
    """Return an interval as its mean ± half its width; "+z" for the sign avoids "-0.00"."""
    return NOTHING if v is None else f"{v[0]:{sign}.{digits}f} ± {(v[2] - v[1]) / 2:.{digits}f}"


def points(v: Numbers, digits: int = 2) -> str:
    """Return an interval of a difference of shares, in percentage points."""
    return number([100 * x for x in v], digits)


def percent(v: Numbers | None, digits: int = 2) -> str:
    """Return an interval of a share."""
    if v is None:
        return NOTHING
    low, high = (f"{100 * x:.{digits}f}" for x in v[1:])
    return f"{100 * v[0]:.{digits}f} % [{low}, {high}]"


def best_plans(title: str, by_horizon: Iterable[dict[str, Any]]) -> str:
    """Return the table of the best plan on each horizon, with its leads over others.

    Args:
        title: of the column of horizons.
        by_horizon: :class:`~slowfast_rl.evaluation.world.properties.Best` as JSON, one per horizon.
    """
    row = "{horizon} | {plan:+} | {over_never:+.2i} | {over_maximum:+.2i} | {next_plan:+} | "
    header = f"{title} | best plan | over never | over the maximum | second | over it"
    return table_of(header, row + "{over_next:+.3i}", by_horizon)
