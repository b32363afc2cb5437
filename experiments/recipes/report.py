"""What was measured, as Markdown."""

from typing import Any

from planners import RECIPES


def tables(results: dict[str, Any]) -> str:
    """Return one row for each recipe, seeds side by side."""
    lines = [
        f"`{results['command']}` wrote this table: world `{results['world']}`, plans run by the "
        "default executor; 95 % intervals over members.",
        "",
        "| recipe | gap closed, by training seed | mean | CPU-seconds | million opportunities |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, recipe in RECIPES.items():
        rows = [row for row in results["rows"] if row["recipe"] == name]
        if not rows:
            continue
        gaps = [row["gap_closed"] for row in rows if row["gap_closed"] is not None]
        cells = [
            recipe.what,
            "; ".join(f"{mean:.3f} [{low:.3f}, {high:.3f}]" for mean, low, high in gaps) or "–",
            f"{sum(gap[0] for gap in gaps) / len(gaps):.3f}" if gaps else "–",
            ", ".join(f"{row['cpu_seconds']:.0f}" for row in rows),
            f"{rows[0]['opportunities'] / 1e6:.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
