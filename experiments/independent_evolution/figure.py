"""Estimates of one test beside the truth."""

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt


def draw(results: dict[str, Any], path: Path) -> None:
    """Draw each effect with both intervals and what twins show."""
    figure, axes = plt.subplots(figsize=(6, 2.6), layout="constrained")
    effects = results["one_test"]["effects"]
    kinds = (("unadjusted", "unadjusted_ci95", "unadjusted"), ("estimate", "ci95", "adjusted"))
    for shift, (mean, ends, label) in zip((-0.12, 0.12), kinds, strict=True):
        for place, row in enumerate(effects.values()):
            axes.errorbar(
                row[mean],
                place + shift,
                xerr=[[row[mean] - row[ends][0]], [row[ends][1] - row[mean]]],
                fmt="o",
                color="tab:grey" if label == "unadjusted" else "tab:blue",
                label=label if place == 0 else None,
            )
    truth = [row["truth"] for row in effects.values()]
    axes.plot(truth, range(len(truth)), "k|", markersize=28, label="twins")
    axes.axvline(0, color="black", linewidth=0.5)
    axes.set_yticks(range(len(effects)), list(effects))
    axes.set_xlabel("effect, discounted viewing days")
    axes.legend(markerscale=0.5)
    figure.savefig(path, dpi=120)
    plt.close(figure)
