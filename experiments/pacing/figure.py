"""The measurements as one figure: what pacers add to the exact one, what shapes add to even."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

BLUE, ORANGE, GREY = "#2a6f97", "#d9772b", "#8a8f98"
STYLE = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.labelcolor": "#333333",
    "axes.edgecolor": "#8a8f98",
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "legend.frameon": False,
    "legend.fontsize": 8,
    "font.family": "DejaVu Sans",
}


def draw(results: dict[str, Any], path: Path) -> None:
    """Write the figure."""
    pacers = [row for row in results["pacers"] if row["pacer"] != "exact"]
    with mpl.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.6), layout="constrained")
        _differences(left, pacers, "pacer", "minus_exact", "ranker")
        left.set_title("What pacers add to the exact one")
        _differences(right, results["shapes"], "shape", "minus_uniform", "pacer")
        right.set_title("What pacing shapes add to even pacing")
        figure.savefig(path, dpi=120)
        plt.close(figure)


def _differences(
    ax: Axes, rows: list[dict[str, Any]], name: str, difference: str, colour: str
) -> None:
    """Draw a line per plan and name, with a point and its interval per colour."""
    lines = list(dict.fromkeys((*row["plan"], row[name]) for row in rows))
    policies = {row[colour]: f"{row['pacer']} + {row['ranker']}" for row in rows}
    for offset, (kind, shown), paint in zip(
        (-0.15, 0.15), policies.items(), (BLUE, ORANGE), strict=True
    ):
        own = [row for row in rows if row[colour] == kind]
        at = np.array([lines.index((*row["plan"], row[name])) for row in own]) + offset
        mean, low, high = np.array([row[difference]["mean"] for row in own]).T
        ax.errorbar(mean, at, xerr=[mean - low, high - mean], color=paint, marker="o",
                    markersize=4, capsize=2, linewidth=1.5, linestyle="none",
                    label=f"{kind} ranker" if colour == "ranker" else shown)  # fmt: skip
    ax.axvline(0, color=GREY, linewidth=0.7)
    ax.set_yticks(range(len(lines)), [f"{push} + {email}, {last}" for push, email, last in lines])
    ax.set(ylim=(len(lines) - 0.5, -0.5), xlabel="difference in return, paired 95 % interval")
    ax.legend()
