"""The report of a fit: one HTML file that needs no network. Needs the extra ``report``."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from slowfast_rl.evaluation.figures import BLUE, COLOURS, ORANGE, Axes, in_style, line, zero
from slowfast_rl.evaluation.figures import intervals as draw_intervals
from slowfast_rl.evaluation.report import draw_figures, made_with, page_environment
from slowfast_rl.evaluation.statistics import Z95
from slowfast_rl.fitting.lift import Lift
from slowfast_rl.fitting.result import Fit
from slowfast_rl.store.files import write_text_atomically


def write_report(fit: Fit, folder: Path, command: str, lifts: Sequence[Lift] = ()) -> Path:
    """Write ``report.html`` and the figures in it, and return its path.

    Args:
        fit: the fit.
        folder: where it is written; figures go to ``figures/`` below it.
        command: the command line that made the fit.
        lifts: what other policies would earn in the fitted world.
    """
    text = page_environment("slowfast_rl.fitting").get_template("fit.html").render(
        fit=fit,
        figures=draw_figures(folder, _figures(fit)),
        statistics=fit.worst(len(fit.statistics)),
        lifts=lifts,
        command=command,
        **made_with(),
    )  # fmt: skip
    path = folder / "report.html"
    write_text_atomically(path, text)
    return path


def _figures(fit: Fit) -> Iterator[tuple[str, str, tuple[float, float], Callable[..., Axes]]]:
    """Yield each figure's name, caption, size in inches and the function that draws it."""
    yield (
        "parameters", "Fitted values relative to the base world's, with 95 % intervals. Grey: the "
        "log tells little of them, and the interval is nearly what was assumed before.",
        (8.5, 1 + 0.2 * len(fit.parameters)), partial(_draw_parameters, fit),
    )  # fmt: skip
    yield (
        "statistics", "Differences between the statistics of the log and those of the fitted "
        "world, in standard errors, by size. The line is what chance alone would make of them.",
        (6, 3.4), partial(_draw_statistics, fit),
    )  # fmt: skip
    for number, name in enumerate(dict.fromkeys(mean.name for mean in fit.weekly)):
        yield (
            f"weekly_{number}", f"{name.capitalize()}, week by week: the log (solid) and the "
            "fitted world (dashed).",
            (4.2, 2.6), partial(_draw_weekly, fit, name),
        )  # fmt: skip


@in_style
def _draw_parameters(fit: Fit, *, ax: Axes) -> Axes:
    """Draw the factors by which parameters differ from the base world's."""
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
def _draw_statistics(fit: Fit, *, ax: Axes) -> Axes:
    """Draw the sizes of the differences, and those that chance makes."""
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
def _draw_weekly(fit: Fit, name: str, *, ax: Axes) -> Axes:
    """Draw a number of each week, of the log and of the fitted world."""
    for number, mean in enumerate(m for m in fit.weekly if m.name == name):
        weeks, colour = np.arange(1, len(mean.observed) + 1), COLOURS[number % len(COLOURS)]
        line(ax, weeks, mean.observed, marker="", color=colour, label=mean.channel or "log")
        line(ax, weeks, mean.simulated, marker="", color=colour, linestyle="--")
    ax.set_ylim(bottom=0)
    ax.set_xlabel("week")
    ax.set_ylabel(name)
    ax.legend()
    return ax
