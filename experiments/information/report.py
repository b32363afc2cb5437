"""What was measured, as Markdown."""

from typing import Any

from planners import PLANNERS


def tables(results: dict[str, Any]) -> str:
    """Return one table of all planners."""
    lines = [
        f"`{results['command']}` wrote this table: {results['opportunities'] // 10**6} million "
        "opportunities of training each, plans run by the default executor; 95 % intervals over "
        "members.",
        "",
        "| world | what the planner knows | seed | return | gap closed | CPU-seconds |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in results["rows"]:
        cells = [
            f"`{row['world']}`",
            PLANNERS[row["planner"]].what,
            str(row["seed"]),
            f"{row['return'][0]:.2f}",
            _interval(row["gap_closed"]),
            f"{row['cpu_seconds']:.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _interval(values: list[float] | None) -> str:
    if values is None:
        return "–"
    mean, low, high = values
    return f"{mean:.3f} [{low:.3f}, {high:.3f}]"
