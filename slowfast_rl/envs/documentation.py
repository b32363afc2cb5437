"""Tables of observations in the environments' docstrings, generated from the features."""

import re
from collections.abc import Callable, Sequence
from inspect import cleandoc
from itertools import groupby
from typing import TypeVar

from slowfast_rl.members.features import Feature, privileged_features
from slowfast_rl.members.opportunity import PRONOUNCED
from slowfast_rl.members.world import World

E = TypeVar("E", bound=type)

_VARIABLE = re.compile(r"(?:this|last)_week|mean_\d+_weeks|\d+")  # windows of time and numbers
_HEADER = ("Num", "Observation", "Min", "Max", "Unit")


def observation_table(features: Sequence[Feature], first: int = 0) -> str:
    """Return a Markdown table of an observation's columns.

    Columns share a row if they have the same unit and bounds, and names that differ only in a
    window of time or a number: columns 5 to 8 are ``push_sends_{this_week, last_week, ...}``.

    Args:
        features: the features, one per column.
        first: the number of the first column.

    Returns:
        The table's lines: column numbers, names, bounds and unit.
    """
    groups: dict[tuple[str, str, float, float], list[tuple[int, str]]] = {}
    for number, f in enumerate(features, first):
        key = (_VARIABLE.sub("*", f.name), f.unit, f.low, f.high)
        groups.setdefault(key, []).append((number, f.name))
    rows = [_HEADER]
    for (pattern, unit, low, high), columns in groups.items():
        numbers, names = zip(*columns, strict=True)
        rows.append(
            (_ranges(numbers), f"`{_merged(pattern, names)}`", f"{low:g}", f"{high:g}", unit)
        )
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    lines = [
        f"| {' | '.join(c.ljust(width) for c, width in zip(row, widths, strict=True))} |"
        for row in rows
    ]
    rule = f"|{'|'.join('-' * (width + 2) for width in widths)}|"
    return "\n".join([lines[0], rule, *lines[1:]])


def document_observations(
    *groups: Callable[[World], tuple[Feature, ...]],
) -> Callable[[E], E]:
    """Return a class decorator that completes an environment's docstring.

    It replaces ``{observation_table}`` by the table of the given features, and
    ``{privileged_table}`` by that of the privileged features, both of the world ``pronounced``.

    Args:
        groups: functions that return the features of a world; the observation is their
            concatenation.
    """

    def complete(environment: E) -> E:
        features = [feature for group in groups for feature in group(PRONOUNCED)]
        latents = privileged_features(PRONOUNCED)
        text = cleandoc(environment.__doc__ or "")
        text = text.replace("{observation_table}", observation_table(features))
        text = text.replace("{privileged_table}", observation_table(latents, len(features)))
        environment.__doc__ = text
        return environment

    return complete


def _ranges(numbers: Sequence[int]) -> str:
    """Return rising numbers with runs of neighbours shortened, such as "5-8, 11"."""
    runs = []
    for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        members = [number for _, number in run]
        runs.append(f"{members[0]}-{members[-1]}" if len(members) > 1 else str(members[0]))
    return ", ".join(runs)


def _merged(pattern: str, names: Sequence[str]) -> str:
    """Return a pattern with each ``*`` replaced by what stands there in the names."""
    merged, *rest = pattern.split("*")
    for alternatives, part in zip(
        zip(*map(_VARIABLE.findall, names), strict=True), rest, strict=True
    ):
        distinct = list(dict.fromkeys(alternatives))
        merged += (distinct[0] if len(distinct) == 1 else f"{{{', '.join(distinct)}}}") + part
    return merged
