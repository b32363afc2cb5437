"""The results as one figure: return against cost, sends against cost, what the logs tell."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

COLOURS = ("#d9772b", "#2a6f97", "#8a8f98")
STYLE = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "font.family": "DejaVu Sans",
}
SHOWN = {"viewing_days": "viewing days", "push_opt_outs": "push opt-outs", "churn": "churn"}


def draw(results: dict[str, Any], path: Path) -> None:
    """Write the figure."""
    worlds = results["worlds"]
    with mpl.rc_context(STYLE):
        figure, panels = plt.subplots(2, len(worlds) + 1, figsize=(16, 6.4), layout="constrained")
        for column, (name, world) in enumerate(worlds.items()):
            _gain(panels[0, column], world["sweep"])
            _sends(panels[1, column], world["sweep"])
            panels[0, column].set_title(name)
        _learned(panels[0, -1], results["learned"])
        panels[1, -1].axis("off")
        figure.savefig(path, dpi=110)
        plt.close(figure)


def _curves(sweep: dict[str, Any], part: str) -> Any:
    for (window, cases), colour in zip(sweep["windows"].items(), COLOURS, strict=True):
        swept = {float(c): v[part] for c, v in cases.items() if "," not in c}
        label = f"window {window} week{'s' if window != '1' else ''}"
        yield np.array(list(swept)), np.array(list(swept.values())), colour, label


def _gain(ax: Axes, sweep: dict[str, Any]) -> None:
    for costs, gain, colour, label in _curves(sweep, "gain"):
        ax.plot(costs, gain[:, 0], color=colour, marker="o", markersize=4, label=label)
        ax.fill_between(costs, gain[:, 1], gain[:, 2], color=colour, alpha=0.15, linewidth=0)
    ax.axhline(0, color="#333333", linewidth=0.7, linestyle=":")
    ax.axhline(sweep["always"][0], color="#8a8f98", linewidth=0.7, linestyle="--")
    ax.annotate("always", (0.06, sweep["always"][0]), ha="right", va="bottom", fontsize=8)
    ax.set(xlabel="cost per message (viewing days)", ylabel="return over the best fixed plan")


def _sends(ax: Axes, sweep: dict[str, Any]) -> None:
    for costs, sends, colour, label in _curves(sweep, "sends"):
        share = 100 * sends / sweep["always_sends"]
        ax.plot(costs, share, color=colour, marker="o", markersize=4, label=label)
    ax.legend()
    ax.set(xlabel="cost per message (viewing days)", ylabel="sends, % of always", ylim=(0, 105))


def _learned(ax: Axes, learned: dict[str, Any]) -> None:
    weeks = [row["member_weeks"] for row in learned["sizes"]]
    for (name, label), colour in zip(SHOWN.items(), ("#2a6f97", "#d9772b", "#8a8f98"), strict=True):
        values = np.array([row[name]["explained"] for row in learned["sizes"]])
        ax.plot(weeks, values.mean(axis=1), color=colour, marker="o", markersize=4, label=label)
        ax.fill_between(weeks, values.min(axis=1), values.max(axis=1), color=colour, alpha=0.15,
                        linewidth=0)  # fmt: skip
    ax.axhline(0, color="#333333", linewidth=0.7, linestyle=":")
    ax.set_xscale("log")
    ax.legend()
    ax.set(title="effects learned, pronounced", xlabel="member-weeks of logs",
           ylabel="variance over members explained", ylim=(-1, 1))  # fmt: skip
