"""The report of a fit: one HTML file that needs no network. Needs the extra ``report``."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from slowfast_rl.evaluation.figures import Axes
from slowfast_rl.evaluation.report import draw_figures, made_with, page_environment
from slowfast_rl.fitting.lift import Lift
from slowfast_rl.fitting.plots import draw_parameters, draw_statistics, draw_weeks
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
        (8.5, 1 + 0.2 * len(fit.parameters)), partial(draw_parameters, fit),
    )  # fmt: skip
    yield (
        "statistics", "Differences between the statistics of the log and those of the fitted "
        "world, in standard errors, by size. The line is what chance alone would make of them.",
        (6, 3.4), partial(draw_statistics, fit),
    )  # fmt: skip
    for number, name in enumerate(dict.fromkeys(mean.name for mean in fit.weekly)):
        yield (
            f"weekly_{number}", f"{name.capitalize()}, week by week: the log (solid) and the "
            "fitted world (dashed).",
            (4.2, 2.6), partial(draw_weeks, fit, name),
        )  # fmt: skip
