"""What was measured, as Markdown."""

from typing import Any


def tables(results: dict[str, Any]) -> str:
    """Return the table of shifted worlds and that of limit worlds."""
    lines = [
        f"`{results['command']}` wrote these tables; 95 % intervals, paired over members.",
        "",
        "| world | seed | slowfast | threshold | lead | sends a week, of the threshold |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    names = list(dict.fromkeys(row["world"] for row in results["shifted"]))
    for row in sorted(results["shifted"], key=lambda r: (names.index(r["world"]), r["seed"])):
        cells = [
            row["world"],
            str(row["seed"]),
            f"{row['return'][0]:.2f}",
            f"{row['threshold'][0]:.2f}",
            _interval(row["lead"]),
            f"{row['sends']:.1f}, {row['threshold_sends']:.1f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "| limit world | seed | return | sends a week | what is known there |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| `{row['world']}` | {row['seed']} | {_interval(row['return'])} | {row['sends']:.3f} | "
        f"{_known(row)} |"
        for row in results["limits"]
    ]
    if results.get("apart"):
        first = results["apart"][0]
        lines += [
            "",
            f"World `{first['world']}`, seed {first['seed']}, taken apart; leads over the "
            "untouched threshold:",
            "",
            "| who acts | return | lead | sends a week |",
            "| --- | --- | --- | --- |",
        ]
        lines += [
            f"| {row['case']} | {row['return'][0]:.2f} | {_interval(row['lead'])} | "
            f"{row['sends']:.1f} |"
            for row in results["apart"]
        ]
    return "\n".join(lines)


def _known(row: dict[str, Any]) -> str:
    """Say how a row compares with its world's answer."""
    if "share_of_always" in row:
        return f"{100 * row['share_of_always']:.2f} % of the return of always sending"
    if "planner_over_fixed" in row:
        return f"plans over the best fixed plan {_interval(row['planner_over_fixed'])}"
    if "ratio" in row:
        tough, sensitive = row["sends_by_type"]
        return (
            f"{tough:.2f} and {sensitive:.2f} sends a week: ratio {_interval(row['ratio'])}, "
            f"difference {_interval(row['difference'])}"
        )
    return "never sending is best"


def _interval(values: list[float]) -> str:
    mean, low, high = values
    return f"{mean:.2f} [{low:.2f}, {high:.2f}]"
