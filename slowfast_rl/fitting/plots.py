"""Figures of a fit: the fitted world beside the log. Needs the extra ``report``."""

from typing import TYPE_CHECKING

import numpy as np

from slowfast_rl.evaluation.figures import (
    BLUE,
    COLOURS,
    ORANGE,
    Axes,
    axes_of_size,
    in_style,
    line,
    zero,
)
from slowfast_rl.evaluation.figures import intervals as draw_intervals
from slowfast_rl.evaluation.statistics import Z95

if TYPE_CHECKING:
    from slowfast_rl.fitting.result import Fit


@in_style
def draw_parameters(fit: "Fit", *, ax: Axes | None = None) -> Axes:
    """Draw the factors by which parameters differ from the base world's, with 95 % intervals.

    Parameters of which the log tells little are grey.

    Args:
        fit: the fit.
        ax: axes to draw into; None makes a figure.
    """
    ax = axes_of_size(ax, 8.5, 1 + 0.2 * len(fit.parameters))
    for row, parameter in enumerate(fit.parameters):
        change = fit.theta[row]
        half = Z95 * parameter.error
        colour = BLUE if parameter.identified else COLOURS[2]
        ends = np.exp([[change, change - half, change + half]])
        draw_intervals(ax, [row], ends, across=True, color=colour)
    zero(ax, across=True, at=1)
    ax.set_xscale("log")
    ax.set_yticks(range(len(fit.parameters)), [p.name for p in fit.parameters])
    ax.invert_yaxis()
    ax.set_xlabel("fitted value / base world's value")
    return ax


@in_style
def draw_statistics(fit: "Fit", *, ax: Axes | None = None) -> Axes:
    """Draw by how much statistics of log and fitted world differ, beside what chance makes of it.

    Args:
        fit: the fit.
        ax: axes to draw into; None makes a figure.
    """
    ax = axes_of_size(ax, 6, 3.4)
    z = np.sort(np.abs([s.z for s in fit.statistics]))[::-1]
    sizes = np.sort(np.abs(np.random.default_rng(0).standard_normal((400, len(z)))), axis=1)
    line(ax, np.arange(len(z)), z, marker="", color=BLUE, label="the fitted world")
    line(
        ax, np.arange(len(z)), sizes.mean(axis=0)[::-1], marker="", color=ORANGE, linestyle="--",
        label="chance",
    )  # fmt: skip
    ax.set_xlabel("statistics, by size")
    ax.set_ylabel("difference in standard errors")
    ax.legend()
    return ax


@in_style
def draw_weeks(fit: "Fit", name: str, *, ax: Axes | None = None) -> Axes:
    """Draw a number of each week, of the log (solid) and of the fitted world (dashed).

    Args:
        fit: the fit.
        name: of one or more of ``fit.weekly``.
        ax: axes to draw into; None makes a figure.

    Raises:
        ValueError: there is no such number.
    """
    names = list(dict.fromkeys(mean.name for mean in fit.weekly))
    if name not in names:
        raise ValueError(f"name is {name!r}; allowed: {', '.join(names)}")
    ax = axes_of_size(ax, 4.2, 2.6)
    for number, mean in enumerate(m for m in fit.weekly if m.name == name):
        weeks, colour = np.arange(1, len(mean.observed) + 1), COLOURS[number % len(COLOURS)]
        line(ax, weeks, mean.observed, marker="", color=colour, label=mean.channel or "log")
        line(ax, weeks, mean.simulated, marker="", color=colour, linestyle="--")
    ax.set_ylim(bottom=0)
    ax.set_xlabel("week")
    ax.set_ylabel(name)
    ax.legend()
    return ax
