"""The result of an off-policy evaluation: estimates, diagnostics and warnings, as tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from slowfast_rl.evaluation.formatting import as_json, number, table
from slowfast_rl.ope.diagnostics import Diagnostics
from slowfast_rl.ope.estimators import Estimate

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class OffPolicyResult:
    """What a log says of a policy that it did not follow.

    Attributes:
        policy: name of the policy.
        kind: what was evaluated: "plans held for the horizon", "plans of every week" or "messages".
        unit: unit of the estimates.
        logged: mean reward of the logging policy.
        estimates: by method; the first one is the result, the others are checks.
        reading: by method, how to read it.
        diagnostics: of the weights of single decisions; None if there are none.
        warnings: why the estimates may be wrong, one sentence each.
        backtest: rows that compare the model's predictions with what the log shows; empty for none.
        settings: horizon and other settings of the evaluation.
    """

    policy: str
    kind: str
    unit: str
    logged: float
    estimates: Mapping[str, Estimate]
    reading: Mapping[str, str]
    diagnostics: Diagnostics | None = None
    warnings: Sequence[str] = ()
    backtest: Sequence[Mapping[str, Any]] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def main(self) -> Estimate:
        """The first estimate, which is the result."""
        return next(iter(self.estimates.values()))

    @property
    def method(self) -> str:
        """The name of the first estimate."""
        return next(iter(self.estimates))

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each method."""
        return [
            {
                "method": name,
                "lift": found.lift.mean,
                "lift_ci95": [found.lift.low, found.lift.high],
                "value": found.value.mean,
                "value_ci95": [found.value.low, found.value.high],
                "reading": self.reading.get(name, ""),
            }
            for name, found in self.estimates.items()
        ]

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain numbers, lists and mappings; None for a number there is not.

        Such are the ends of an interval over one member, and a self-normalised estimate without
        any weight.
        """
        tree: dict[str, Any] = _finite(self._tree())
        return tree

    def _tree(self) -> dict[str, Any]:
        return {
            "policy": self.policy,
            "kind": self.kind,
            "unit": self.unit,
            "logged": self.logged,
            "settings": as_json(dict(self.settings)),
            "estimates": as_json(self.rows()),
            "diagnostics": None if self.diagnostics is None else as_json(self.diagnostics),
            "warnings": list(self.warnings),
            "backtest": as_json(list(self.backtest)),
        }

    def to_frame(self) -> "pd.DataFrame":
        """Return the estimates as a table of pandas. Needs the extra ``report``."""
        from slowfast_rl.members.frames import frame_of_rows

        return frame_of_rows([{"name": row["method"], **row} for row in self.rows()]).drop(
            columns="method"
        )

    @property
    def digits(self) -> int:
        """How many decimals show two digits of the width of the first interval."""
        width = self.main.lift.high - self.main.lift.low
        return int(np.clip(1 - np.floor(np.log10(width)), 0, 6)) if 0 < width < np.inf else 3

    def markdown(self) -> str:
        """Return the estimates as a Markdown table."""
        return table(("method", "lift", "value", "how to read it"), self._cells())

    def _cells(self) -> list[tuple[str, str, str, str]]:
        return [
            (
                name,
                number(found.lift, self.digits),
                number(found.value, self.digits, signed=False),
                self.reading.get(name, ""),
            )
            for name, found in self.estimates.items()
        ]

    def __repr__(self) -> str:
        """Return the table for the terminal, with diagnostics and warnings."""
        given = ", ".join(f"{name} {value}" for name, value in self.settings.items())
        head = f"<{self.kind} of {self.policy}" + (f", {given}" if given else "")
        header = ("method", "lift", "value", "")
        rows = self._cells()
        widths = [max(len(row[i]) for row in (header, *rows)) for i in range(4)]
        lines = [f"{head}; in {self.unit}, the log's mean is {self.logged:.{self.digits}f}"]
        for row in (header, *rows):
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            lines.append("  " + "  ".join(cells).rstrip())
        if self.diagnostics is not None:
            lines.append(f"  {self.diagnostics}")
        lines += [f"  warning: {warning}" for warning in self.warnings]
        return "\n".join(lines) + ">"


def _finite(value: Any) -> Any:
    """Return plain values with None for numbers that JSON does not have."""
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not isfinite(value) else value
