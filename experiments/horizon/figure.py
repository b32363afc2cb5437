"""The measurements as one figure: a row per world."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

BLUE, ORANGE, GREEN, GREY = "#2a6f97", "#d9772b", "#5b8c5a", "#8a8f98"
STYLE = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.labelcolor": "#333333",
    "axes.edgecolor": GREY,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "font.family": "DejaVu Sans",
}
RACES = {1: ORANGE, 4: GREEN, 13: BLUE}


def draw(results: dict[str, Any], path: Path) -> None:
    """Write the figure."""
    worlds = results["worlds"]
    with mpl.rc_context(STYLE):
        figure = plt.figure(figsize=(13, 3.4 * len(worlds)), layout="constrained")
        rows = np.atleast_1d(figure.subfigures(len(worlds), 1, hspace=0.04))
        for row, (name, starts) in zip(rows, worlds.items(), strict=True):
            row.suptitle(f"World: {name}", x=0.005, ha="left", fontsize=12, fontweight="bold")
            panels = row.subplots(1, 3)
            _frequency(panels[0], starts)
            for panel, (start, part) in zip(panels[1:], starts.items(), strict=True):
                _race(panel, part, start)
        figure.savefig(path, dpi=120)
        plt.close(figure)


def _frequency(ax: Axes, starts: dict[str, Any]) -> None:
    for (start, part), colour in zip(starts.items(), (GREY, BLUE), strict=True):
        horizons = [b["horizon"] for b in part["best"]]
        ax.plot(horizons, [sum(b["plan"]) for b in part["best"]], color=colour, marker="o",
                markersize=4, linewidth=1.5, label=start)  # fmt: skip
    ax.set_xscale("log", base=2)
    ax.set_xticks(horizons, [str(h) for h in horizons])
    ax.minorticks_off()
    ax.legend()
    ax.set(title="Best frequency by horizon", xlabel="horizon (weeks)",
           ylabel="messages a week", ylim=(0, 22))  # fmt: skip


def _race(ax: Axes, part: dict[str, Any], start: str) -> None:
    ax.axhline(0, color=GREY, linewidth=0.7)
    drawn: list[list[int]] = []
    for race in part["races"]:
        if race["far"] != 104 or race["near"] not in RACES or race["near_plan"] in drawn:
            continue
        drawn.append(race["near_plan"])
        mean, low, high = np.array(race["difference"]).T
        weeks, colour = np.arange(1, len(mean) + 1), RACES[race["near"]]
        plans = ["{}+{}".format(*race[plan]) for plan in ("far_plan", "near_plan")]
        ax.plot(weeks, mean, color=colour, linewidth=1.5,
                label=f"{plans[0]} minus {plans[1]} (best on {race['near']})")  # fmt: skip
        ax.fill_between(weeks, low, high, color=colour, alpha=0.2, linewidth=0)
        if race["week"] is not None:
            ax.plot([race["week"]], [mean[race["week"] - 1]], "o", color=colour, markersize=5)
    ax.legend(loc="upper left")
    ax.set(title=f"When the far-sighted plan is ahead, {start}", xlabel="week",
           ylabel="cumulative viewing days ahead")  # fmt: skip
