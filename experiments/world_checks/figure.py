"""The measurements as one figure: a row per world."""

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
    worlds = results["worlds"]
    with mpl.rc_context(STYLE):
        figure = plt.figure(figsize=(14, 3.3 * len(worlds)), layout="constrained")
        rows = np.atleast_1d(figure.subfigures(len(worlds), 1, hspace=0.04))
        for row, (name, world) in zip(rows, worlds.items(), strict=True):
            row.suptitle(f"World: {name}", x=0.005, ha="left", fontsize=12, fontweight="bold")
            panels = row.subplots(1, 4)
            for panel, part in zip(panels, (_frequency, _horizon, _fifths, _recovery), strict=True):
                part(panel, world)
        figure.savefig(path, dpi=120)
        plt.close(figure)


def _frequency(ax: Axes, w: dict[str, Any]) -> None:
    f = w["frequency"]
    labels = [f"{p}+{e}" for p, e in f["plans"]]
    at = np.arange(len(labels))
    for name, values, colour, offset in (
        ("opted-in that left push", f["left"], ORANGE, (-9, -3)),
        ("opens per push", f["open_rate"], BLUE, (0, 9)),
    ):
        v = 100 * np.array([row[0] for row in values])  # the first channel
        ax.errorbar(at, v[:, 0], [v[:, 0] - v[:, 1], v[:, 2] - v[:, 0]], color=colour, marker="o",
                    markersize=4, capsize=2, linewidth=1.5)  # fmt: skip
        ax.annotate(name, (at[-1], v[-1, 0]), offset, textcoords="offset points", color=colour,
                    ha="right", fontsize=8)  # fmt: skip
    ax.set_xticks(at, labels)
    ax.set(title="1  Fewer opens, more opt-outs", ylim=(0, 75), ylabel="share (%)",
           xlabel="plan (push + email a week)")  # fmt: skip


def _horizon(ax: Axes, w: dict[str, Any]) -> None:
    for (start, best), colour in zip(w["best_plan"].items(), (GREY, BLUE), strict=True):
        horizons = [b["horizon"] for b in best]
        sends = [sum(b["plan"]) for b in best]
        style = "-" if colour == BLUE else "--"
        ax.plot(horizons, sends, style, color=colour, marker="o", markersize=4, linewidth=1.5,
                label=start)  # fmt: skip
    for b in w["best_plan"]["burned in"]:
        if b["horizon"] in (1, 4, 13, 104):
            first = b["horizon"] == 1  # beside the axis: label above the line, the others below
            ax.annotate("{}+{}".format(*b["plan"]), (b["horizon"], sum(b["plan"])),
                        (4, 4) if first else (-2, -7), textcoords="offset points", color=BLUE,
                        ha="left" if first else "right", va="bottom" if first else "top",
                        fontsize=8)  # fmt: skip
    ax.set_xscale("log", base=2)
    ax.set_xticks(horizons, [str(h) for h in horizons])
    ax.minorticks_off()
    ax.legend()
    ax.set(title="2  The longer the view, the fewer messages", xlabel="horizon (weeks)",
           ylabel="messages a week, best plan", ylim=(0, 24), xlim=(0.6, 130))  # fmt: skip


def _fifths(ax: Axes, w: dict[str, Any]) -> None:
    fifths = np.arange(1, 6)
    for (name, groups), colour in zip(w["fifths"].items(), (BLUE, ORANGE), strict=True):
        sends = [sum(plan) for plan in groups["104"]["plans"]]
        ax.plot(fifths, sends, color=colour, marker="o", markersize=4, linewidth=1.5, label=name)
    ax.set_xticks(fifths, ["lowest", "2", "3", "4", "highest"])
    ax.legend(title="fifths by", title_fontsize=8)
    ax.set(title="3  Members differ in what suits them", xlabel="fifth of members",
           ylabel="messages a week, best plan", ylim=(0, 24))  # fmt: skip


def _recovery(ax: Axes, w: dict[str, Any]) -> None:
    r = w["recovery"]
    fatigue = np.array(r["fatigue"])
    for c, (name, colour) in enumerate(zip(w["channels"], (BLUE, ORANGE), strict=False)):
        share = 100 * fatigue[:, c] / fatigue[0, c]
        label = f"{name}, half-life {r['half_life'][c]:.1f} days"
        ax.plot(share, color=colour, linewidth=1.5, label=label, linestyle="--" if c else "-")
    ax.axhline(50, color=GREY, linewidth=0.7, linestyle=":")
    ax.legend()
    ax.set(title="4  Silence heals", xlabel="days of silence", ylabel="fatigue left (%)",
           ylim=(0, 100), xlim=(0, len(fatigue) - 1))  # fmt: skip
