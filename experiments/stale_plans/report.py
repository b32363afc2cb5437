"""What was measured, as Markdown."""

from typing import Any


def tables(results: dict[str, Any]) -> str:
    """Return two tables: the plans' age, and the length of an outage."""
    head = (
        f"`{results['command']}` wrote these tables: world `{results['world']}`, "
        f"{results['members']:,} members that no training sees, {results['lucks']} lucks, "
        f"{results['weeks']} weeks; 95 % intervals, paired over members. A planner that is always "
        f"up gains {results['gain']:.2f} discounted viewing days over the safe plan."
    )
    parts = (
        ("every", "planner is up every so many weeks", "A planner that is up now and then"),
        (
            "outages",
            "weeks without a planner",
            f"One outage, from scored week {results['begins']} on",
        ),
    )
    lines = [head]
    for key, name, title in parts:
        lines += [
            "",
            f"{title}:",
            "",
            f"| {name} | return lost | of the gain kept | member-weeks on a fallback |",
            "| --- | --- | --- | --- |",
        ]
        for row in results[key]:
            mean, low, high = row["lost"]
            lines.append(
                f"| {row['weeks']} | {mean:+.2f} [{low:+.2f}, {high:+.2f}] | {row['kept']:.0%} | "
                f"{row['fallbacks']:.0%} |"
            )
    return "\n".join(lines)
