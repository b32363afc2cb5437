"""What a check of a log found: every kind of defect once, with the rows that have it."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

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
        rows: the first rows: file and number, or the number alone in a company's files, which are
            counted as one, in order of their names.
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
        more = " …" if self.affected > len(self.rows) else ""
        rows = f" ({self.affected:,} rows: {', '.join(self.rows)}{more})" if self.affected else ""
        values = f"; found {', '.join(self.values)}" if self.values else ""
        return f"{self.level}: {where}{self.what}{values}{rows}"


class LogReport(NamedTuple):
    """What a check found.

    Attributes:
        findings: all defects.
        rows: number of rows of each table.
        members: number of members.
        randomised_messages: share of decisions, among those with a choice left, whose action has a
            probability below 1; NaN where there are none.
        randomised_plans: the same share of the plans that were drawn; NaN where there are none.
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
        shares = {"decisions": self.randomised_messages, "drawn plans": self.randomised_plans}
        chance = ", ".join(
            f"no {of}" if math.isnan(share) else f"{share:.1%} of {of}"
            for of, share in shares.items()
        )
        lines = [f"{sizes} of {self.members:,} members", f"left to chance: {chance}"]
        return "\n".join([*lines, *map(str, self.findings)])

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON can hold it: a share that is not known is None."""
        shares = {
            name: None if math.isnan(getattr(self, name)) else getattr(self, name)
            for name in ("randomised_messages", "randomised_plans")
        }
        findings = [
            finding._asdict() | {"rows": [*finding.rows], "values": [*finding.values]}
            for finding in self.findings
        ]
        return {"rows": self.rows, "members": self.members, **shares, "findings": findings}


class Findings:
    """Collects findings of all parts; those of one kind become one."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str, str, str], tuple[int, list[str], list[str]]] = {}

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
        """Add a finding.

        Args:
            level: "error" or "warning".
            table: the table; empty for the log as a whole.
            column: the column, or several.
            what: the defect.
            rows: the first rows that have it.
            count: number of rows that have it.
            values: of the column in these rows.
        """
        key = level, table, column, what
        before, shown, seen = self._kinds.get(key, (0, [], []))
        seen = [*dict.fromkeys([*seen, *values])][:SHOWN]
        self._kinds[key] = before + count, [*shown, *rows][:SHOWN], seen

    def all(self) -> tuple[Finding, ...]:
        """Return all findings: errors first, then by table."""
        order = sorted(self._kinds, key=lambda key: (key[0], [*TABLES, ""].index(key[1])))
        found = ((key, *self._kinds[key]) for key in order)
        return tuple(
            Finding(*key, count, tuple(rows), tuple(values)) for key, count, rows, values in found
        )
