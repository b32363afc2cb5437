"""The one style of all figures, and their common parts. Needs the extra ``report``.

Example::

    with panels(path, rows=1, columns=2, size=(8, 3)) as axes:
        line(axes[0, 0], weeks, intervals, label="slow plan")
        zero(axes[0, 0])
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

try:
    from cycler import cycler
    from matplotlib import pyplot, rcParams
    from matplotlib.axes import Axes as Axes  # for those that draw, also outside this file
    from matplotlib.figure import Figure
except ImportError as error:
    raise ImportError("figures need matplotlib: pip install 'slowfast_rl[report]'") from error

BLUE, ORANGE, GREY, GREEN, DARK = "#2a6f97", "#d9772b", "#8a8f98", "#5b8c5a", "#333333"
COLOURS = (BLUE, ORANGE, GREY, DARK, GREEN, "#a4508b")
STYLE: Any = {  # matplotlib's parameters
    "axes.edgecolor": GREY,
    "axes.labelcolor": DARK,
    "axes.labelsize": 9,
    "axes.prop_cycle": cycler(color=COLOURS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "errorbar.capsize": 2,
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "legend.title_fontsize": 8,
    "lines.linewidth": 1.5,
    "lines.markersize": 4,
    "xtick.color": "#555555",
    "xtick.labelsize": 8,
    "ytick.color": "#555555",
    "ytick.labelsize": 8,
}
DOTS_PER_INCH = 120
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 3)))  # legible without colour
MARKERS = ("o", "s", "^", "D", "v", "P")


@contextmanager
def _in_style() -> Iterator[None]:
    """Draw in this library's style; also a decorator.

    Matplotlib's ``rc_context`` would also reset what is no style: in a notebook, the first figure
    makes matplotlib interactive, and the second one would not be shown.
    """
    before = {name: rcParams[name] for name in STYLE}
    rcParams.update(STYLE)
    try:
        yield
    finally:
        rcParams.update(before)


in_style = _in_style()


def axes_of_size(ax: Axes | None, width: float, height: float) -> Axes:
    """Return the axes, or where there are none those of a new figure, sized in inches."""
    if ax is not None:
        return ax
    _, made = pyplot.subplots(figsize=(width, height), layout="constrained")
    return made


@in_style
def figure_of(draw: Callable[..., Axes], size: tuple[float, float]) -> Figure:
    """Return a figure with what a function draws into its ``ax``, sized in inches."""
    figure = Figure(figsize=size, layout="constrained")
    draw(ax=figure.subplots())
    return figure


@contextmanager
def panels(
    path: Path,
    rows: int,
    columns: int,
    size: tuple[float, float],
    titles: Sequence[str] | None = None,
    **layout: Any,
) -> Iterator[NDArray[Any]]:
    """Make the panels of a figure, to be drawn in a ``with``; write the figure at its end.

    Args:
        path: of the file.
        rows: of panels.
        columns: of panels.
        size: width and height in inches.
        titles: a heading for each row; None for none.
        **layout: passed to matplotlib's ``Figure.subplots``, such as ``sharey``.

    Yields:
        The axes, [rows, columns].
    """
    with _in_style():
        figure = Figure(figsize=size, layout="constrained")
        if titles is None:
            axes = figure.subplots(rows, columns, squeeze=False, **layout)
        else:
            parts = np.atleast_1d(np.asarray(figure.subfigures(rows, 1, hspace=0.04)))
            for part, title in zip(parts, titles, strict=True):
                part.suptitle(title, x=0.005, ha="left", fontsize=12, fontweight="bold")
            made = [part.subplots(1, columns, squeeze=False, **layout)[0] for part in parts]
            axes = np.array(made)
        yield axes
        figure.savefig(path, dpi=DOTS_PER_INCH)


def line(ax: Axes, x: ArrayLike, y: ArrayLike, marker: str = "o", **line2d: Any) -> None:
    """Draw a line through values [n], or through intervals [n, 3] with a band around it."""
    values = np.asarray(y, np.float64)
    middle = values if values.ndim == 1 else values[:, 0]
    (drawn,) = ax.plot(x, middle, marker=marker, **line2d)
    if values.ndim > 1:
        low, high, colour = values[:, 1], values[:, 2], drawn.get_color()
        ax.fill_between(np.asarray(x), low, high, color=colour, alpha=0.15, linewidth=0)


def intervals(
    ax: Axes, at: ArrayLike, values: ArrayLike, across: bool = False, **style: Any
) -> None:
    """Draw intervals [n, 3] as points with error bars.

    Args:
        ax: panel.
        at: [n] their places.
        values: mean, low and high of each.
        across: whether values are on the horizontal axis.
        **style: passed to matplotlib's ``Axes.errorbar``.
    """
    mean, low, high = np.asarray(values, np.float64).T
    ends = np.stack([mean - low, high - mean])
    style = {"fmt": "o", **style}
    if across:
        ax.errorbar(mean, np.asarray(at), xerr=ends, **style)
    else:
        ax.errorbar(np.asarray(at), mean, yerr=ends, **style)


def zero(ax: Axes, across: bool = False, at: float = 0.0, **style: Any) -> None:
    """Draw a thin line where the values are 0, or another number.

    Args:
        ax: panel.
        across: whether values are on the horizontal axis.
        at: the number.
        **style: passed to matplotlib's ``Axes.axhline`` or ``Axes.axvline``.
    """
    style = {"color": GREY, "linewidth": 0.7, **style}
    if across:
        ax.axvline(at, **style)
    else:
        ax.axhline(at, **style)


def log2_axis(ax: Axes, ticks: Sequence[int]) -> None:
    """Make the horizontal axis logarithmic with these ticks alone."""
    ax.set_xscale("log", base=2)
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.minorticks_off()
