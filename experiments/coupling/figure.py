"""Quality against quantity, for both sweeps."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt

COLOURS = {"threshold": "#d9772b", "plan": "#2a6f97"}
NAMES = {"threshold": "global threshold", "plan": "slow plan"}
PANELS = {
    "relevance": "relevance of a send (1: a random candidate)",
    "open_rate": "opens per send",
    "response": "response per send",
}
STYLE = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "font.family": "DejaVu Sans",
}


def draw(results: dict[str, Any], path: Path) -> None:
    """Write the figure: one panel a measure, one line a sweep and seed."""
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(1, len(PANELS), figsize=(11, 3.3), layout="constrained")
        for ax, (measure, title) in zip(axes, PANELS.items(), strict=True):
            for arm, colour in COLOURS.items():
                for number, run in enumerate(results["runs"]):
                    sends = [row["sends"][0] for row in run[arm]]
                    values = np.array([row[measure] for row in run[arm]])
                    label = NAMES[arm] if number == 0 else None
                    ax.plot(sends, values[:, 0], color=colour, marker="o", markersize=3,
                            linewidth=1.2, label=label)  # fmt: skip
                    ax.fill_between(sends, values[:, 1], values[:, 2], color=colour, alpha=0.12)
            ax.set(title=title, xlabel="sends a week", ylim=(0, None))
        axes[0].legend()
        figure.savefig(path, dpi=120)
        plt.close(figure)
