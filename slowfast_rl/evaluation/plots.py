"""Figures of leaderboards, plans and members, for notebooks and the report: ``sf.plots``.

Every function returns matplotlib's Axes and draws into ``ax`` if it is given. Needs the extra
``report``. Example::

    board = sf.compare([agent, "never", "best_fixed", "oracle"], world)
    sf.plots.long_term(board)
    sf.plots.plan_map(board, "slowfast")
    sf.plots.member_year(population, member=17, agent=agent)
"""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from slowfast_rl.evaluation.figures import (
    BLUE,
    COLOURS,
    DARK,
    GREY,
    LINES,
    MARKERS,
    Axes,
    axes_of_size,
    in_style,
    intervals,
    line,
    zero,
)
from slowfast_rl.evaluation.formatting import number as formatted
from slowfast_rl.evaluation.leaderboard import Leaderboard
from slowfast_rl.evaluation.member_year import member_year
from slowfast_rl.evaluation.protocol import SEGMENTS
from slowfast_rl.evaluation.statistics import mean_interval, quantile_groups, relative
from slowfast_rl.evaluation.twins import Rollout
from slowfast_rl.evaluation.world.sweeps import Sweep
from slowfast_rl.members.observations import weekly_features
from slowfast_rl.members.population import Population

F = TypeVar("F", bound=Callable[..., Axes])

_MOST_LINES = 6  # of agents in one panel, as many as there are line styles
_QUINTILES = 5
_MOST_FEATURES = 8
_LEAST_SHARE = 0.005  # of member-weeks, for a number in the plan map


def _of_board(draw: F) -> F:
    """Let a function draw in the style of all figures, and refuse what is no leaderboard."""

    @wraps(draw)
    def checked(board: Leaderboard, *arguments: Any, **keywords: Any) -> Any:
        if not isinstance(board, Leaderboard):
            raise ValueError(
                f"board is a {type(board).__name__}; allowed is one leaderboard, of one call of "
                "sf.compare with all agents"
            )
        return draw(board, *arguments, **keywords)

    return cast(F, in_style(checked))


@_of_board
def long_term(
    board: Leaderboard,
    agents: Sequence[str] | None = None,
    *,
    cumulative: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw agents' lead over the baseline, week by week, with paired 95 % bands.

    Args:
        board: the leaderboard; its baseline is the best fixed plan, or "never" where there are no
            references.
        agents: names; None for the six with the highest returns.
        cumulative: whether to sum the lead over the weeks so far, without discount.
        ax: axes to draw into; None makes a figure.

    Raises:
        KeyError: the board has no agent of a name.
    """
    ax = axes_of_size(ax, 7, 3.6)
    rows = [row["name"] for row in _by_return(board) if row["name"] != board.baseline]
    weeks = np.arange(1, board.protocol.weeks + 1)
    ends = []
    chosen = [agents] if isinstance(agents, str) else agents
    group_of = {agent: group["name"] for group in board.groups for agent in group["agents"]}
    colours: dict[str, str] = {}  # the seeds of one group share theirs
    for number, name in enumerate(rows[:_MOST_LINES] if chosen is None else chosen):
        style, group = LINES[number % len(LINES)], group_of.get(name, name)
        colour = colours.setdefault(group, COLOURS[len(colours) % len(COLOURS)])
        lead = board.lead(name, cumulative)
        marker = "" if weeks[1:].size else "o"  # a line of one week is not seen
        line(ax, weeks, lead, marker=marker, linestyle=style, color=colour, label=name)
        ends.append((float(lead[-1, 0]), name, colour))
    zero(ax)
    ax.set_xlim((1, weeks[-1]) if weeks[1:].size else (0.5, 1.5))
    ax.set_xlabel("week")
    unit = "reward, summed" if cumulative else "reward a week"
    ax.set_ylabel(f"lead over {board.baseline}\n({unit}, in viewing days)")
    ax.set_title("Lead over the same members under the same luck, 95 % bands")
    _label_ends(ax, ends)
    return ax


@_of_board
def forest(board: Leaderboard, *, ax: Axes | None = None) -> Axes:
    """Draw each agent's lead in return over the baseline, with its paired 95 % interval.

    Args:
        board: the leaderboard.
        ax: axes to draw into; None makes a figure.
    """
    rows = [row for row in _by_return(board)[::-1] if row["name"] != board.baseline] or board.rows
    ax = axes_of_size(ax, 7, 1.1 + 0.28 * len(rows))
    base = board.baseline_rollout.returns
    leads = [mean_interval(board.rollout(row["name"]).returns - base) for row in rows]
    places = np.arange(len(rows))
    intervals(ax, places, leads, across=True, color=DARK)
    zero(ax, across=True)
    ax.set_ylim(-0.6, len(rows) - 0.4)
    ax.set_yticks(places, [row["name"] for row in rows])
    for place, lead in zip(places, leads, strict=True):
        ax.annotate(
            f" {formatted(lead)}", (1.01, place), xycoords=("axes fraction", "data"), va="center"
        )
    ax.set_xlabel(f"lead over {board.baseline} in discounted return (viewing days a member)")
    ax.set_title("Who wins, and by how much: paired over members, 95 %")
    return ax


@_of_board
def plan_map(board: Leaderboard, agent: str, *, ax: Axes | None = None) -> Axes:
    """Draw how often an agent chose each plan: the first two channels, other ones summed up.

    Args:
        board: the leaderboard.
        agent: the agent's name.
        ax: axes to draw into; None makes a figure.

    Raises:
        KeyError: the board has no agent of this name.
        ValueError: the agent is a single policy, which plans nothing.
    """
    world = board.world
    ax = axes_of_size(ax, 4.6, 4.0)
    counts = _planned(board, agent).plan_counts.sum(axis=0)  # [O]
    across = world.menu[1] if len(world.channels) > 1 else (0,)
    shares = np.zeros((len(world.menu[0]), len(across)))
    for plan, count in zip(world.plans, counts, strict=True):
        column = across.index(plan[1]) if len(world.channels) > 1 else 0
        shares[world.menu[0].index(plan[0]), column] += count / max(counts.sum(), 1)
    ax.imshow(shares, cmap="Blues", origin="lower", aspect="auto", vmin=0)
    for (row, column), share in np.ndenumerate(shares):
        if share >= _LEAST_SHARE:
            colour = "white" if share > shares.max() / 2 else DARK
            ax.text(column, row, f"{100 * share:.0f}", ha="center", va="center", color=colour)
    ax.set_xticks(range(len(across)), [str(target) for target in across])
    ax.set_yticks(range(len(shares)), [str(target) for target in world.menu[0]])
    ax.set_ylabel(f"{world.channels[0]} a week")
    ax.set_xlabel(f"{world.channels[1]} a week" if len(world.channels) > 1 else "")
    ax.set_title(f"{agent}: plans, % of member-weeks")
    return ax


@_of_board
def who_gains(board: Leaderboard, agent: str | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw each segment's gain in return over the baseline, absolute and in per cent.

    There is no percentage where the interval of the baseline's return does not lie above 0.

    Args:
        board: the leaderboard.
        agent: the agent's name; None for the first one.
        ax: axes to draw into; None makes a figure.

    Raises:
        KeyError: the board has no agent of this name.
    """
    ax = axes_of_size(ax, 4.6, 3.2)
    name = board.rows[0]["name"] if agent is None else agent
    own, base = board.rollout(name).returns, board.baseline_rollout.returns
    groups = [board.segments == s for s in range(len(SEGMENTS))]
    shown = [(s, g) for s, g in zip(SEGMENTS, groups, strict=True) if g.any()]
    gains = [mean_interval(own[g] - base[g]) for _, g in shown]
    places = np.arange(len(shown))
    ax.bar(places, [gain.mean for gain in gains], width=0.6, color=BLUE, alpha=0.35)
    intervals(ax, places, gains, color=DARK, fmt="none")
    for place, gain, (_, g) in zip(places, gains, shown, strict=True):
        share = relative(gain.mean, base[g])
        ax.annotate(
            f"{gain.mean:+.1f}" + ("" if share is None else f"\n({share:+.0%})"),
            (place, max(gain.high, 0)), (0, 3),
            textcoords="offset points", ha="center", va="bottom",
        )  # fmt: skip
    zero(ax)
    ax.margins(y=0.25)
    ax.set_xticks(places, [segment for segment, _ in shown])
    ax.set_ylabel(f"gain over {board.baseline} in\ndiscounted return (viewing days)")
    ax.set_xlabel("members by how much they view without messages")
    ax.set_title(f"{name}: who gains")
    return ax


@_of_board
def sends_by_segment(
    board: Leaderboard, agent: str | None = None, *, ax: Axes | None = None
) -> Axes:
    """Draw an agent's sends a week to each segment, by channel.

    Args:
        board: the leaderboard.
        agent: the agent's name; None for the first one.
        ax: axes to draw into; None makes a figure.

    Raises:
        KeyError: the board has no agent of this name.
    """
    ax = axes_of_size(ax, 4.6, 3.2)
    row = board.row(board.rows[0]["name"] if agent is None else agent)
    channels, segments = board.world.channels, row["by_segment"]
    places, width = np.arange(len(segments)), 0.8 / len(channels)
    for c, channel in enumerate(channels):
        sends = [part["sends_per_week"][channel] for part in segments.values()]
        at = places + (c - (len(channels) - 1) / 2) * width
        colour, hatch = COLOURS[c % len(COLOURS)], "/" * (2 * c)
        bars = ax.bar(at, sends, width * 0.95, label=channel, color=colour, hatch=hatch)
        ax.bar_label(bars, fmt="%.1f")
    ax.set_xticks(places, list(segments))
    ax.set_ylabel("sends a week")
    ax.set_xlabel("members by how much they view without messages")
    ax.set_title(f"{row['name']}: sends by segment")
    ax.legend()
    return ax


@_of_board
def plan_reactions(board: Leaderboard, agent: str, *, ax: Axes | None = None) -> Axes:
    """Draw how an agent's plans differ with what it observes of a member.

    Each line is a feature; each column a fifth of the member-weeks by that feature, from its lowest
    values to its highest; each number the mean sends a week that were planned. The eight features
    with the largest differences are shown, the largest first; features that count sends are not.

    Args:
        board: the leaderboard.
        agent: the agent's name.
        ax: axes to draw into; None makes a figure.

    Raises:
        KeyError: the board has no agent of this name.
    """
    rollout, world = _planned(board, agent), board.world
    if not len(rollout.observations):
        ax = axes_of_size(ax, 6, 1.2)
        ax.set_axis_off()
        ax.set_title(f"{agent}: no member was alive to plan for")
        return ax
    planned = world.plans[rollout.observed_plans].sum(axis=1)  # [M] sends a week
    found: list[tuple[float, str, NDArray[Any]]] = []
    for column, feature in enumerate(weekly_features(world)):
        if "send" in feature.name:
            continue  # what the agent did before is no signal of the member
        groups = quantile_groups(rollout.observations[:, column], _QUINTILES)
        sizes = np.bincount(groups, minlength=_QUINTILES)
        sums = np.bincount(groups, planned, _QUINTILES)
        means = np.where(sizes >= len(planned) / 50, sums / np.maximum(sizes, 1), np.nan)
        if np.isfinite(means).sum() > 1:
            found.append((float(np.nanmax(means) - np.nanmin(means)), feature.name, means))
    found.sort(key=lambda entry: -entry[0])
    shown = found[:_MOST_FEATURES]
    ax = axes_of_size(ax, 6, 0.9 + 0.3 * max(len(shown), 1))
    table = np.array([means for _, _, means in shown]).reshape(-1, _QUINTILES)
    ax.imshow(table, cmap="Blues", aspect="auto")
    middle = np.nanmean([np.nanmin(table), np.nanmax(table)]) if shown else 0.0
    for (row, column), value in np.ndenumerate(table):
        text = "" if np.isnan(value) else f"{value:.1f}"
        colour = "white" if value > middle else DARK
        ax.text(column, row, text, ha="center", va="center", color=colour)
    ax.set_yticks(range(len(shown)), [name.replace("_", " ") for _, name, _ in shown])
    ax.set_xticks(range(_QUINTILES), ["lowest fifth", "", "middle", "", "highest fifth"])
    ax.set_title(f"{agent}: planned sends a week by what it observes")
    return ax


@_of_board
def sends_and_return(board: Leaderboard, *, ax: Axes | None = None) -> Axes:
    """Draw each agent's sends a week against its lead in return over the baseline.

    An agent stands at the sends that its members got. Where the case has references, each fixed
    plan is a grey dot at the sends that it plans, of which fewer are delivered because members
    leave channels, and a line joins the best one of each number of sends; these were measured on
    the members on which the best fixed plan was chosen.

    Args:
        board: the leaderboard.
        ax: axes to draw into; None makes a figure.
    """
    ax = axes_of_size(ax, 6, 3.8)
    base = board.baseline_rollout.returns
    if board.references is not None:
        returns = board.references.fixed_returns
        best = max(returns.values())
        fixed = {key: value - best for key, value in returns.items()}
        sends = {key: sum(map(int, key.split(" ")[0].split(","))) for key in fixed}
        ax.plot(list(sends.values()), list(fixed.values()), ".", color=GREY, alpha=0.5)
        totals = sorted(set(sends.values()))
        frontier = [max(fixed[key] for key in fixed if sends[key] == total) for total in totals]
        ax.plot(totals, frontier, color=GREY, linewidth=1)
    labels = []
    for number, row in enumerate(_by_return(board)):
        lead = mean_interval(board.rollout(row["name"]).returns - base)
        sent = sum(row["sends_per_week"].values())
        colour = COLOURS[number % len(COLOURS)]
        intervals(ax, [sent], [lead], color=colour, fmt=MARKERS[number % len(MARKERS)])
        labels.append((lead.mean, row["name"], colour, sent))
    ax.margins(0.08, 0.15)
    heights = _spread(ax, [middle for middle, *_ in labels])
    right = 0.012 * np.ptp(ax.get_xlim())
    for height, (_, name, colour, sent) in zip(heights, labels, strict=True):
        ax.text(sent + right, height, name, color=colour, va="center")
    zero(ax)
    grey = "" if board.references is None else " (grey: planned)"
    ax.set_xlabel(f"delivered sends a week to a living member{grey}")
    ax.set_ylabel(f"lead over {board.baseline} in\ndiscounted return (viewing days)")
    ax.set_title("Sends against return" + ("; grey: fixed plans" if grey else ""))
    return ax


@in_style
def horizons(
    sweep: Sweep, weeks: Sequence[int] = (1, 8, 26, 104), *, ax: Axes | None = None
) -> Axes:
    """Draw the return of constant plans against their sends a week, for several horizons.

    Each line joins the best plan of each number of sends; its highest point is marked. Returns are
    a member's mean lead over sending nothing, divided by the horizon's weeks.

    Args:
        sweep: of plans that include sending nothing, see
            :func:`slowfast_rl.evaluation.world.sweeps.sweep`.
        weeks: horizons; those longer than the sweep are left out.
        ax: axes to draw into; None makes a figure.
    """
    ax = axes_of_size(ax, 6, 3.6)
    sends, nothing = sweep.plans.sum(axis=1), int(sweep.plans.sum(axis=1).argmin())
    totals = np.unique(sends)
    for number, horizon in enumerate(w for w in weeks if w in sweep.returns):
        leads = sweep.returns[horizon].mean(axis=1)
        leads = (leads - leads[nothing]) / horizon
        best = np.array([leads[sends == total].max() for total in totals])
        style, colour = LINES[number % len(LINES)], COLOURS[number % len(COLOURS)]
        unit = "week" if horizon == 1 else "weeks"
        ax.plot(totals, best, linestyle=style, color=colour, label=f"over {horizon} {unit}")
        ax.plot(totals[best.argmax()], best.max(), MARKERS[number % len(MARKERS)], color=colour)
    zero(ax)
    ax.set_xlabel("planned sends a week")
    ax.set_ylabel("lead over sending nothing in\ndiscounted return (viewing days a week)")
    ax.set_title("The best frequency of each horizon (marked)")
    ax.legend()
    return ax


@in_style
def beliefs(population: Population, *, ax: Axes | None = None) -> Axes:
    """Draw what the belief filter believes of members' fatigue sensitivity against the truth.

    Args:
        population: members with a belief filter, after some weeks of messages.
        ax: axes to draw into; None makes a figure.

    Raises:
        ValueError: the population keeps no beliefs.
    """
    if population.beliefs is None:
        raise ValueError(
            "the population keeps no beliefs; make it with belief_filter=sf.BeliefFilter(world)"
        )
    ax = axes_of_size(ax, 4.6, 4)
    names = [feature.name for feature in population.beliefs.filter.features]
    believed = population.beliefs.observations()[:, names.index("belief_log_sensitivity")]
    truth = np.log(population.simulation.traits.fatigue_sensitivity)
    ax.plot(truth, believed, ".", color=BLUE, alpha=0.3, markersize=3)
    ends = [float(truth.min()), float(truth.max())]
    ax.plot(ends, ends, color=GREY, linewidth=1)
    known = believed.std() > 0 < truth.std()
    share = f"correlation {np.corrcoef(truth, believed)[0, 1]:.2f}" if known else "nothing known"
    ax.set_xlabel("fatigue sensitivity (natural log)")
    ax.set_ylabel("belief (natural log)")
    ax.set_title(f"Week {int(population.weeks[0])}: {share}")
    return ax


def _planned(board: Leaderboard, agent: str) -> Rollout:
    """Return the rollout of an agent with a planner."""
    rollout = board.rollout(agent)
    if board.contestants[agent].single:
        planning = [name for name, c in board.contestants.items() if not c.single]
        raise ValueError(f"{agent!r} plans nothing; allowed: {', '.join(planning)}")
    return rollout


def _by_return(board: Leaderboard) -> list[dict[str, Any]]:
    return sorted(board.rows, key=lambda row: -row["return"])


def _label_ends(ax: Axes, ends: list[tuple[float, str, str]]) -> None:
    """Write names at the right ends of lines, moved apart where they would overlap."""
    for at, (_, name, colour) in zip(_spread(ax, [end[0] for end in ends]), ends, strict=True):
        place, area = (1.01, at), ("axes fraction", "data")
        ax.annotate(name, place, xycoords=area, color=colour, va="center", annotation_clip=False)


def _spread(ax: Axes, heights: Sequence[float]) -> list[float]:
    """Return the heights of labels, moved upwards where they would overlap."""
    low, high = ax.get_ylim()
    least, at = (high - low) * 0.055, -np.inf
    moved = [0.0] * len(heights)
    for index in np.argsort(heights):
        at = max(heights[index], at + least)
        moved[index] = at
    return moved


__all__ = [
    "beliefs",
    "forest",
    "horizons",
    "long_term",
    "member_year",
    "plan_map",
    "plan_reactions",
    "sends_and_return",
    "sends_by_segment",
    "who_gains",
]
