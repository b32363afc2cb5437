"""The report of a leaderboard: one HTML file that needs no network. Needs the extra ``report``."""

import base64
import platform
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import slowfast_rl
from slowfast_rl.evaluation import plots
from slowfast_rl.evaluation.figures import DOTS_PER_INCH, Axes, figure_of
from slowfast_rl.evaluation.formatting import number
from slowfast_rl.evaluation.leaderboard import Leaderboard, measures
from slowfast_rl.evaluation.protocol import burned_in
from slowfast_rl.evaluation.statistics import Interval, mean_interval, relative
from slowfast_rl.evaluation.tables import not_grouped
from slowfast_rl.store.files import write_text_atomically

try:
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
except ImportError as error:
    raise ImportError("the report needs jinja2: pip install 'slowfast_rl[report]'") from error

_PACKAGES = ("gymnasium", "stable_baselines3", "torch", "numpy", "numba")
_MEMBER = 17  # whose year is shown
_MOST_MAPS = 6  # plan maps
_HEALTH = (
    "store_fallbacks", "mid_week_plan_changes", "refused_writes", "stale_reads", "vetoed_sends",
)  # fmt: skip

_PIXELS = 80  # of the page, for an inch of a figure

Drawn = TypeVar("Drawn")


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
    page = page_environment().get_template("report.html")
    text = page.render(
        board=board,
        protocol=board.protocol,
        figures=draw_figures(folder, _figures(board)),
        headline=headline(board),
        rows=sorted(board.rows, key=lambda row: -row["return"]),
        not_grouped=not_grouped(board),
        uncertainty=[_uncertainty(board, row["name"]) for row in board.rows],
        health=_HEALTH,
        command=command,
        **made_with(),
    )
    path = folder / "report.html"
    write_text_atomically(path, text)
    return path


def draw_figures(
    folder: Path, figures: Iterable[tuple[str, str, tuple[float, float], Callable[..., Axes]]]
) -> dict[str, Figure]:
    """Draw figures to ``figures/`` in a folder; return by name what a page shows of them.

    One that cannot be drawn is left out with a warning.

    Args:
        folder: of the report.
        figures: name, caption, size in inches, and the function that draws into its ``ax``.
    """
    where = folder / "figures"
    where.mkdir(parents=True, exist_ok=True)
    drawn: dict[str, Figure] = {}
    for name, caption, size, draw in figures:
        content = _without_failure(name, partial(_draw, where / f"{name}.png", size, draw))
        if content is not None:
            drawn[name] = Figure(caption, round(_PIXELS * size[0]), content)
    return drawn


def made_with() -> dict[str, Any]:
    """Return what a page says of how it was made: date, machine and versions."""
    return {
        "versions": {"slowfast_rl": slowfast_rl.__version__}
        | {name: _version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


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
        size = (9, 3.6) if "member" in title else (5, 4)
        figure = _without_failure(title, partial(figure_of, draw, size))
        if figure is not None:
            yield f"figures/{title}", figure


class _Candidate(NamedTuple):
    """What the headline ranks: an agent, or the agents that differ in their training seed alone."""

    name: str
    score: float  # return; of several seeds their interquartile mean
    lead: Interval  # over the baseline
    sends: dict[str, float]  # a week, by channel


def headline(board: Leaderboard) -> str:
    """Return who wins, by how much, how sure that is and how much it sends, in a few sentences."""
    baseline, *others = _candidates(board)
    best = max(others, key=lambda candidate: candidate.score, default=baseline)
    if best.score <= baseline.score:
        text = f"No agent has a higher return than {baseline.name}, which sends "
        text += f"{_sends_text(baseline.sends)} a week."
        if not others:
            return text
        sure = "it is worse" if best.lead.high < 0 else "the interval includes 0"
        return (
            f"{text} The difference of the best other one, {best.name}, in discounted return is "
            f"{number(best.lead)} viewing days a member (95 % interval): {sure}."
        )
    share = relative(best.lead.mean, board.baseline_rollout.returns)
    text = (
        f"{best.name} has the highest return. Its lead over {baseline.name} in discounted return "
        f"is {number(best.lead)} viewing days a member (95 % interval)"
    )
    text += "" if share is None else f", {share:+.0%} of {baseline.name}'s return"
    sure = "" if best.lead.low > 0 else " The interval includes 0: the lead is not certain."
    return f"{text}. It sends {_sends_text(best.sends)} a week.{sure}"


def _candidates(board: Leaderboard) -> list[_Candidate]:
    """Return what the headline ranks, the baseline first.

    A group of seeds is one candidate: its luckiest seed is no agent of its own. The oracle, whose
    plans are chosen in hindsight, and controls are none.
    """
    base, channels = board.baseline_rollout, board.world.channels
    sends = measures(base.weekly, channels)["sends_per_week"]
    found = [_Candidate(board.baseline, float(base.returns.mean()), Interval(0, 0, 0), sends)]
    done = {board.baseline}
    for group in board.groups:
        done |= {*group["agents"], *group["repeats"]}
        rows = [board.row(name)["sends_per_week"] for name in group["agents"]]
        sends = {c: sum(row[c] for row in rows) / len(rows) for c in channels}
        name = f"{group['name']} ({len(group['seeds'])} training seeds)"
        lead = Interval(group["iqm_lead"], *group["iqm_lead_ci95"])
        found.append(_Candidate(name, group["iqm"], lead, sends))
    for row in board.rows:
        left_out = row["name"] == "oracle" or board.contestants[row["name"]].control
        if row["name"] not in done and not left_out:
            lead = mean_interval(board.rollouts[row["name"]].returns - base.returns)
            found.append(_Candidate(row["name"], row["return"], lead, row["sends_per_week"]))
    return found


def _sends_text(sends: Mapping[str, float]) -> str:
    return " + ".join(f"{value:.1f} {channel}" for channel, value in sends.items())


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
        "long_term", f"Lead over {base} in reward, summed over the weeks so far, without "
        "discount.",
        (6.3, 3.4), partial(plots.long_term, board),
    )  # fmt: skip
    yield (
        "weekly", f"Lead over {base} in reward in each week: whether it lasts.",
        (6.3, 3.4), partial(plots.long_term, board, cumulative=False),
    )  # fmt: skip
    yield (
        "who_gains", f"Gain of {first} over {base} by segment: discounted return in viewing "
        f"days and, where that of {base} is above 0, in per cent.",
        (4.4, 3.2), partial(plots.who_gains, board),
    )  # fmt: skip
    yield (
        "sends_by_segment", f"What {first} sends to each segment.",
        (4.4, 3.2), partial(plots.sends_by_segment, board),
    )  # fmt: skip
    yield (
        "sends_and_return", "Each agent's delivered sends against its lead in discounted return. "
        "Grey dots are the fixed plans at their planned sends, of which fewer are delivered, "
        "because members leave channels; the line joins the best of each number.",
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


def _version(package: str) -> str:
    """Return a package's version, also where it is imported without being installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _member(board: Leaderboard) -> int:
    return min(_MEMBER, board.protocol.num_members - 1)


def _draw_member(board: Leaderboard, name: str, *, ax: Axes) -> Axes:
    """Draw a member's year under an agent, from the end of the burn-in on."""
    contestant = board.contestants[name]
    few = board.protocol.few(_member(board) + 1)
    stream, beliefs = few.streams[0], contestant.planner.belief_filter
    population = burned_in(board.world, few, stream, None, beliefs)
    return plots.member_year(population, _member(board), contestant, ax=ax)


def _without_failure(name: str, draw: Callable[[], Drawn]) -> Drawn | None:
    """Return a figure, or None and a warning where it cannot be drawn: numbers do not need it."""
    try:
        return draw()
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        warnings.warn(f"the figure {name!r} is left out, because of {told}", stacklevel=3)
        return None


def _draw(path: Path, size: tuple[float, float], draw: Callable[..., Axes]) -> str:
    """Draw a figure to a file, and return its content in base64."""
    figure_of(draw, size).savefig(path, dpi=DOTS_PER_INCH)
    return base64.b64encode(path.read_bytes()).decode()


def page_environment(package: str = "slowfast_rl.evaluation") -> Environment:
    """Return what renders pages, with the templates of a package and those that all pages share."""
    made = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("slowfast_rl.evaluation")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["interval"] = _interval_text
    made.filters["sends"] = _sends_text
    return made


def _interval_text(value: Any, ends: Any = None, digits: int = 2, signed: bool = False) -> str:
    """Return a mean with its interval, given as one or as the mean and its ends."""
    three = value if ends is None or value is None else (value, *ends)
    return number(three, digits, signed)
