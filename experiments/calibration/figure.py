"""The targets as one figure: each as a band, the world's value as a dot, on the target's scale."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt
from targets import LIFT, TARGETS

BLUE, ORANGE, BAND = "#2a6f97", "#d9772b", "#d5e3ec"


def draw(results: dict[str, Any], path: Path) -> None:
    """Write the figure."""
    measured = [*results["measured"], results["lift"]]
    targets = [*TARGETS, LIFT]
    with mpl.rc_context({"font.family": "DejaVu Sans", "font.size": 8}):
        figure, axes = plt.subplots(len(targets), 1, figsize=(8, 4.6), layout="constrained")
        for ax, target, (mean, low, high) in zip(axes, targets, measured, strict=True):
            width = target.high - target.low
            ax.axvspan(100 * target.low, 100 * target.high, color=BAND)
            colour = BLUE if target.met(mean) else ORANGE
            ax.errorbar([100 * mean], [0], xerr=[[100 * (mean - low)], [100 * (high - mean)]],
                        fmt="o", color=colour, markersize=4)  # fmt: skip
            ax.set_xlim(100 * (target.low - 0.4 * width), 100 * (target.high + 0.4 * width))
            ax.set_yticks([0], [f"{target.quantity} (%)"])
            ax.tick_params(axis="y", length=0)
            ax.spines[["top", "right", "left"]].set_visible(False)
        figure.savefig(path, dpi=120)
        plt.close(figure)
