"""The report of a leaderboard: one HTML file that needs no network. Needs the extra ``report``."""

import base64
import platform
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from slowfast_rl.evaluation import plots
from slowfast_rl.evaluation.figures import DOTS_PER_INCH, Axes, figure_of
from slowfast_rl.evaluation.formatting import number
from slowfast_rl.evaluation.leaderboard import Leaderboard
from slowfast_rl.evaluation.protocol import burned_in
from slowfast_rl.evaluation.statistics import Interval, mean_interval
from slowfast_rl.evaluation.tables import not_grouped
from slowfast_rl.store.files import write_text_atomically

try:
    from jinja2 import Environment, PackageLoader, StrictUndefined
except ImportError as error:
    raise ImportError("the report needs jinja2: pip install 'slowfast_rl[report]'") from error

_PACKAGES = ("slowfast_rl", "gymnasium", "stable_baselines3", "torch", "numpy", "numba")
_MEMBER = 17  # whose year is shown
_MOST_MAPS = 6  # plan maps
_HEALTH = (
    "store_fallbacks", "mid_week_plan_changes", "refused_writes", "stale_reads", "vetoed_sends",
)  # fmt: skip

_PIXELS = 80  # of the page, for an inch of a figure


class Figure(NamedTuple):
    """A figure as the page shows it."""

    caption: str
    width: int  # pixels
    content: str  # PNG in base64


def write_report(board: Leaderboard, folder: Path, command: str) -> Path:
    """Write ``report.html`` and the figures in it, and return its path.

    Args:
        board: the leaderboard.
        folder: where it is written; figures go to ``figures/`` below it.
        command: the command line that made the leaderboard.
    """
    figures = folder / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    drawn = {
        name: Figure(caption, round(_PIXELS * size[0]), _draw(figures / f"{name}.png", size, draw))
        for name, caption, size, draw in _figures(board)
    }
    text = _environment().get_template("report.html").render(
        board=board,
        protocol=board.protocol,
        figures=drawn,
        headline=headline(board),
        rows=sorted(board.rows, key=lambda row: -row["return"]),
        not_grouped=not_grouped(board),
        uncertainty=[_uncertainty(board, row["name"]) for row in board.rows],
        health=_HEALTH,
        command=command,
        versions={name: version(name) for name in _PACKAGES},
        python=platform.python_version(),
        machine=f"{platform.system()} {platform.machine()}",
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )  # fmt: skip
    path = folder / "report.html"
    write_text_atomically(path, text)
    return path


def agent_figures(board: Leaderboard, name: str) -> Iterator[tuple[str, Any]]:
    """Yield titles and figures of one agent, for TensorBoard."""
    drawn: dict[str, Callable[..., Axes]] = {}
    if not board.contestants[name].single:
        drawn["plans"] = partial(plots.plan_map, board, name)
    drawn |= {
        "sends by segment": partial(plots.sends_by_segment, board, name),
        "one member's year": partial(_draw_member, board, name),
    }
    for title, draw in drawn.items():
        yield f"figures/{title}", figure_of(draw, (9, 3.6) if "member" in title else (5, 4))


def headline(board: Leaderboard) -> str:
    """Return who wins, by how much, how sure that is and how much it sends, as one sentence."""
    winner = max(board.rows, key=lambda row: row["return"])
    name, base = winner["name"], board.baseline_rollout.returns
    lead = mean_interval(board.rollouts[name].returns - base)  # over the same members
    for group in board.groups:
        if name in group["agents"]:  # its luckiest seed is no agent of its own
            name = f"{group['name']} ({len(group['seeds'])} training seeds)"
            lead = Interval(group["iqm_lead"], *group["iqm_lead_ci95"])
    sends = " + ".join(f"{v:.1f} {c}" for c, v in winner["sends_per_week"].items())
    if winner["name"] == board.baseline:
        return f"No agent has a higher return than {board.baseline}, which sends {sends} a week."
    share = lead.mean / max(float(board.baseline_rollout.returns.mean()), 1e-9)
    sure = "" if lead.low > 0 else " The interval includes 0: the lead is not certain."
    return (
        f"{name} has the highest return: {lead.mean:+.2f} viewing days a member over "
        f"{board.baseline} ({share:+.0%}), 95 % interval [{lead.low:+.2f}, {lead.high:+.2f}]; it "
        f"sends {sends} a week.{sure}"
    )


def _uncertainty(board: Leaderboard, name: str) -> dict[str, Any]:
    """Return an agent's lead over the baseline with what members and luck make uncertain."""
    leads = board.rollouts[name].luck_returns - board.baseline_rollout.luck_returns  # [L, N]
    means = leads.mean(axis=1)
    spread = float(means.std(ddof=1) / len(means) ** 0.5) if len(means) > 1 else None
    return {"name": name, "lead": mean_interval(leads.mean(axis=0)), "luck": spread}


def _figures(
    board: Leaderboard,
) -> Iterator[tuple[str, str, tuple[float, float], Callable[..., Axes]]]:
    """Yield each figure's name, caption, size in inches and the function that draws it."""
    agents, count = [row["name"] for row in board.rows], len(board.rows)
    first, base = agents[0], board.baseline
    yield (
        "lead", f"Lead in return over {base}, paired over members, with 95 % intervals.",
        (9.5, 0.9 + 0.26 * count), partial(plots.forest, board),
    )  # fmt: skip
    yield (
        "long_term", f"Lead over {base}, summed over the weeks so far, without discount.",
        (6.3, 3.4), partial(plots.long_term, board),
    )  # fmt: skip
    yield (
        "weekly", f"Lead over {base} in each week: whether it lasts.",
        (6.3, 3.4), partial(plots.long_term, board, cumulative=False),
    )  # fmt: skip
    yield (
        "who_gains", f"Gain of {first} over {base} by segment, in viewing days and in per cent.",
        (4.4, 3.2), partial(plots.who_gains, board),
    )  # fmt: skip
    yield (
        "sends_by_segment", f"What {first} sends to each segment.",
        (4.4, 3.2), partial(plots.sends_by_segment, board),
    )  # fmt: skip
    yield (
        "sends_and_return", "Each agent's sends against its lead. Grey dots are the fixed plans; "
        "the line joins the best of each number.",
        (6.5, 3.8), partial(plots.sends_and_return, board),
    )  # fmt: skip
    planning = [name for name in agents if not board.contestants[name].single]
    for number_, name in enumerate(planning[:_MOST_MAPS]):
        yield (
            f"plan_map_{number_}", f"Plans that {name} chose, in per cent of "
            "member-weeks; 0 on channels that were left.",
            (4.1, 3.6), partial(plots.plan_map, board, name),
        )  # fmt: skip
    if first in planning:
        yield (
            "plan_reactions", f"How the plans of {first} differ with what it "
            "observes of a member; empty where that is rare.",
            (7.5, 3.4), partial(plots.plan_reactions, board, first),
        )  # fmt: skip
    yield (
        "member_year", f"A year of member {_member(board)} under {first}; fatigue and goodwill "
        "are hidden from the agent.",
        (9, 3.6), partial(_draw_member, board, first),
    )  # fmt: skip


def _member(board: Leaderboard) -> int:
    return min(_MEMBER, board.protocol.num_members - 1)


def _draw_member(board: Leaderboard, name: str, *, ax: Axes) -> Axes:
    """Draw a member's year under an agent, from the end of the burn-in on."""
    contestant = board.contestants[name]
    few = board.protocol.few(_member(board) + 1)
    stream, beliefs = few.streams[0], contestant.planner.belief_filter
    population = burned_in(board.world, few, stream, None, beliefs)
    return plots.member_year(population, _member(board), contestant, ax=ax)


def _draw(path: Path, size: tuple[float, float], draw: Callable[..., Axes]) -> str:
    """Draw a figure to a file, and return its content in base64."""
    figure_of(draw, size).savefig(path, dpi=DOTS_PER_INCH)
    return base64.b64encode(path.read_bytes()).decode()


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("slowfast_rl.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["interval"] = _interval_text
    made.filters["sends"] = lambda sends: " + ".join(f"{v:.1f} {c}" for c, v in sends.items())
    return made


def _interval_text(value: Any, ends: Any = None, digits: int = 2, signed: bool = False) -> str:
    """Return a mean with its interval, given as one or as the mean and its ends."""
    if value is None:
        return "–"
    three = value if ends is None else (value, *ends)
    mean, low, high = (round(number_, digits) + 0.0 for number_ in three)  # no minus zero
    if not np.isfinite([low, high]).all():
        return f"{mean:.{digits}f}"
    return number((mean, low, high), digits, signed)
