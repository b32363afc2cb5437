"""The gains as one figure: a row per world, absolute and relative against both baselines."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

SEGMENTS = ("casual", "regular", "heavy")
COLOURS = ("#2a6f97", "#d9772b", "#8a8f98", "#333333", "#7b9e3f", "#a4508b")
STYLE = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "xtick.labelsize": 9,
    "ytick.labelsize": 8,
    "font.family": "DejaVu Sans",
}


def draw(results: dict[str, Any], path: Path) -> None:
    """Write the figure."""
    worlds = results["worlds"]
    with mpl.rc_context(STYLE):
        figure, panels = plt.subplots(
            len(worlds), 4, figsize=(15, 3.2 * len(worlds)), layout="constrained", squeeze=False
        )
        for row, (name, world) in zip(panels, worlds.items(), strict=True):
            for panel, (against, unit) in zip(
                row,
                [(a, u) for a in ("never", "best_fixed") for u in ("absolute", "relative")],
                strict=True,
            ):
                _bars(panel, world["gains"], against, unit)
                panel.set_title(f"{name}, over {against.replace('_', ' ')}")
        panels[0, 0].legend()
        figure.savefig(path, dpi=110)
        plt.close(figure)


def _bars(ax: Axes, gains: dict[str, Any], against: str, unit: str) -> None:
    shown = {name: parts[against] for name, parts in gains.items() if name != "always"}
    width = 0.8 / len(shown)
    for k, ((name, parts), colour) in enumerate(zip(shown.items(), COLOURS, strict=False)):
        scale = 100 if unit == "relative" else 1
        v = np.array([parts[s][unit] or [np.nan] * 3 for s in SEGMENTS]) * scale
        at = np.arange(len(SEGMENTS)) + (k - (len(shown) - 1) / 2) * width
        ax.bar(at, v[:, 0], width, yerr=[v[:, 0] - v[:, 1], v[:, 2] - v[:, 0]], color=colour,
               label=name, error_kw={"elinewidth": 1, "ecolor": "#555555"})  # fmt: skip
    ax.axhline(0, color="#333333", linewidth=0.7)
    ax.set_xticks(np.arange(len(SEGMENTS)), SEGMENTS)
    ax.set_ylabel("gain (%)" if unit == "relative" else "gain (viewing days)")
