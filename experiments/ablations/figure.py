"""The findings of all cases as one figure: what holds where, and how large the gap is."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap

BLUE, ORANGE, GREY = "#2a6f97", "#d9772b", "#c9ccd1"
STYLE = {
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "font.family": "DejaVu Sans",
}
COLOUR = {True: 0, None: 1, False: 2}


def draw(results: dict[str, Any], path: Path) -> None:
    """Write the figure."""
    worlds = results["worlds"]
    with mpl.rc_context(STYLE):
        figure, rows = plt.subplots(
            len(worlds), 2, figsize=(12, 4.6 * len(worlds)), layout="constrained", squeeze=False,
            width_ratios=(3, 2),
        )  # fmt: skip
        for (left, right), (name, cases) in zip(rows, worlds.items(), strict=True):
            _verdicts(left, cases, name)
            _gaps(right, cases)
        figure.savefig(path, dpi=110)
        plt.close(figure)


def _labels(cases: list[dict[str, Any]]) -> list[str]:
    return [c["name"] if c["group"] in ("base", "without") else f"{c['group']} {c['name']}"
            for c in cases]  # fmt: skip


def _verdicts(ax: Axes, cases: list[dict[str, Any]], name: str) -> None:
    findings = list(cases[0]["verdicts"])
    cells = np.array([[COLOUR[c["verdicts"][f]] for f in findings] for c in cases])
    ax.imshow(cells, cmap=ListedColormap([BLUE, GREY, ORANGE]), vmin=0, vmax=2, aspect="auto")
    ax.set_xticks(range(len(findings)), findings, rotation=25, ha="right")
    ax.set_yticks(range(len(cases)), _labels(cases))
    ax.set_xticks(np.arange(len(findings)) - 0.5, minor=True)
    ax.set_yticks(np.arange(len(cases)) - 0.5, minor=True)
    ax.grid(which="minor", color="white", linewidth=1.5)
    ax.tick_params(which="both", length=0)
    ax.set_title(f"{name}: holds (blue), not resolved (grey), fails (orange)")


def _gaps(ax: Axes, cases: list[dict[str, Any]]) -> None:
    gaps = [c["gap"]["relative"] or [np.nan] * 3 for c in cases]
    mean, low, high = 100 * np.array(gaps).T
    at = np.arange(len(cases))
    ax.errorbar(mean, at, xerr=[mean - low, high - mean], fmt="o", color=BLUE, markersize=4)
    ax.axvline(0, color=GREY, linewidth=0.8)
    ax.axvline(mean[0], color=GREY, linewidth=0.8, linestyle=":")
    ax.set_yticks(at, [])
    ax.set_ylim(len(cases) - 0.5, -0.5)
    ax.spines[["top", "right"]].set_visible(False)
    ax.set(title="What personal plans add", xlabel="percent of the best fixed plan's return")
