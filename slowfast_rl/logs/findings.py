"""The findings of a check of a log, and the report of them."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from slowfast_rl.logs.schema import TABLES

SHOWN = 5  # rows of a finding that are named


class Finding(NamedTuple):
    """One kind of defect in one column.

    Attributes:
        level: "error" where nothing may be learned from the log, "warning" otherwise.
        table: the table; empty for the log as a whole.
        column: the column, or several.
        what: the defect.
        affected: number of rows; 0 for the log as a whole.
        rows: the first rows: their numbers, from 0, in the files of the table that they come from,
            one file after the other by name; a part and a number where that is not known.
        values: different values of the column in these rows, but for missing ones.
    """

    level: str
    table: str
    column: str
    what: str
    affected: int
    rows: tuple[str, ...]
    values: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the finding as one line."""
        where = f"{self.table}.{self.column}: " if self.table else ""
        if not self.affected:
            return f"{self.level}: {where}{self.what}"
        more = " …" if self.affected > len(self.rows) else ""
        values = f"; found {', '.join(self.values)}" if self.values else ""
        rows = f"{self.affected:,} rows: {', '.join(self.rows)}{more}"
        return f"{self.level}: {where}{self.what}{values} ({rows})"


class LogReport(NamedTuple):
    """What a check found.

    Attributes:
        findings: all defects.
        rows: number of rows of each table.
        members: number of members.
        randomised_messages: share of decisions, among those with a choice left, whose action has a
            probability below 1; NaN where there are none.
        randomised_plans: the same share of the plans that were drawn.
    """

    findings: tuple[Finding, ...]
    rows: dict[str, int]
    members: int
    randomised_messages: float
    randomised_plans: float

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that forbid to learn from the log."""
        return tuple(finding for finding in self.findings if finding.level == "error")

    def __str__(self) -> str:
        """Return all findings, a line each, after the sizes."""
        sizes = ", ".join(f"{count:,} {table}" for table, count in self.rows.items())
        chance = (
            f"left to chance: {_percent(self.randomised_messages)} of decisions, "
            f"{_percent(self.randomised_plans)} of drawn plans"
        )
        lines = [f"{sizes} of {self.members:,} members", chance, *map(str, self.findings)]
        return "\n".join(lines)


def _percent(share: float) -> str:
    return "–" if np.isnan(share) else f"{share:.1%}"


class Findings:
    """Collects findings of all parts; those of one kind become one."""

    def __init__(self) -> None:
        self.kinds: dict[tuple[str, str, str, str], tuple[int, list[str], list[str]]] = {}

    def add(
        self,
        level: str,
        table: str,
        column: str,
        what: str,
        rows: Sequence[str] = (),
        count: int = 0,
        values: Sequence[str] = (),
    ) -> None:
        """Add rows of one part to the finding of their kind."""
        key = level, table, column, what
        before, shown, seen = self.kinds.get(key, (0, [], []))
        seen = [*dict.fromkeys([*seen, *values])][:SHOWN]
        self.kinds[key] = before + count, [*shown, *rows][:SHOWN], seen

    def all(self) -> tuple[Finding, ...]:
        """Return all findings, errors first, in the order of the tables."""
        order = sorted(self.kinds, key=lambda key: (key[0], [*TABLES, ""].index(key[1])))
        found = ((key, *self.kinds[key]) for key in order)
        return tuple(
            Finding(*key, count, tuple(rows), tuple(values)) for key, count, rows, values in found
        )


def findings_of(report: LogReport) -> Iterator[dict[str, Any]]:
    """Yield the findings as mappings for JSON."""
    for finding in report.findings:
        yield finding._asdict() | {"rows": list(finding.rows), "values": list(finding.values)}
