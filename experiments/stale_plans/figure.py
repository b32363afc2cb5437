"""Return lost against plan age and outage length."""

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt


def draw(results: dict[str, Any], path: Path) -> None:
    """Draw both curves with their intervals."""
    figure, axes = plt.subplots(1, 2, figsize=(8, 3), sharey=True, layout="constrained")
    names = (
        ("every", "the planner is up every so many weeks"),
        ("outages", "weeks without a planner"),
    )
    for axis, (key, name) in zip(axes, names, strict=True):
        rows = results[key]
        weeks = [row["weeks"] for row in rows]
        mean = [row["lost"][0] for row in rows]
        ends = [
            [row["lost"][0] - row["lost"][1] for row in rows],
            [row["lost"][2] - row["lost"][0] for row in rows],
        ]
        axis.errorbar(weeks, mean, yerr=ends, marker="o")
        axis.axhline(0, color="black", linewidth=0.5)
        last = results["remembered_weeks"] + (key == "every")
        axis.axvline(last, color="grey", linestyle=":", label="then the safe plan serves")
        axis.set_xlabel(name)
    axes[1].legend(frameon=False)
    axes[0].set_ylabel("return, against always up")
    figure.savefig(path, dpi=120)
    plt.close(figure)
