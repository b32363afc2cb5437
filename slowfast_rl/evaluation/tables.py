"""The leaderboard as Markdown and in the terminal."""

from typing import Any

from slowfast_rl.evaluation.formatting import Numbers, half, table, table_of
from slowfast_rl.evaluation.leaderboard import Leaderboard
from slowfast_rl.members.shapes import UNIFORM


def markdown(board: Leaderboard) -> str:
    """Return ``leaderboard.md``: best return first, 95 % intervals over members in brackets."""
    p = board.protocol
    lines = [
        f"# Leaderboard: world `{board.world.name}`",
        "",
        f"{p.num_members} members of population seed {p.population_seed}, {len(p.streams)} lucks "
        f"of luck seed {p.luck_seed}, {p.weeks} weeks after {p.burn_in} weeks under random plans. "
        "Discounted return in viewing days; intervals are 95 % over members, those of differences "
        "paired. `gap closed` "
        "scores the planner alone, with the default executor: 0 is the best fixed plan, 1 the best "
        "constant plan per member in hindsight.",
        "",
        _rows(board),
        "",
    ]
    if board.references is not None:
        r = board.references
        plan = " + ".join(
            f"{t} {c}" for t, c in zip(r.best_fixed_plan, board.world.channels, strict=True)
        )
        shape = "" if r.best_fixed_shape == UNIFORM else f", shape {r.best_fixed_shape}"
        lines += [
            f"Best fixed plan: {plan} a week{shape}. The oracle leads it by {r.lead_text}.",
            "",
        ]
    if board.groups or board.not_grouped:
        lines += ["## Over training seeds", ""]
    if board.groups:
        lines += [_groups(board), ""]
    if board.not_grouped:
        lines += [not_grouped(board), ""]
    lines += ["## By segment (terciles of the base viewing rate)", "", _segments(board), ""]
    return "\n".join(lines)


def terminal(board: Leaderboard) -> str:
    """Return a table for the terminal: best return first, at most 120 columns for two channels."""
    p, names = board.protocol, list(board.world.channels)
    header = [
        "agent", "return", f"vs {board.rows[0]['name']}", "gap closed",
        f"sends/week: {'+'.join(names)}", "views/week", "churn/month",
    ]  # fmt: skip
    rows = [
        [
            row["name"],
            half(_interval(row, "return"), sign=""),
            half(_interval(row, "paired_diff", "paired"), sign="+z"),
            half(_interval(row, "gap_closed"), 3, sign=""),
            " + ".join(f"{v:.1f}" for v in row["sends_per_week"].values()),
            f"{row['viewing_days_per_week']:.2f}",
            f"{100 * row['churn_per_month']:.1f} %",
        ]
        for row in sorted(board.rows, key=lambda row: -row["return"])
    ]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        for cells in [header, ["-" * width for width in widths], *rows]
    ]
    text = [
        f"World {board.world.name}: {p.num_members:,} members, {len(p.streams)} lucks, {p.weeks} "
        "weeks. Discounted return in viewing days; ± is 95 %; differences are paired.",
        "",
        *lines,
        "",
    ]
    if board.references is None:
        text += ["gap closed is empty: no references were computed for this case.", ""]
    return "\n".join(text)


def _rows(board: Leaderboard) -> str:
    rows = [
        {
            **row,
            "return": _interval(row, "return"),
            "paired_diff": _interval(row, "paired_diff", "paired"),
            "gap_closed": _interval(row, "gap_closed"),
            "sends": [f"{sends:.2f} {c}" for c, sends in row["sends_per_week"].items()],
        }
        for row in sorted(board.rows, key=lambda row: -row["return"])
    ]
    return table_of(
        "agent | executor of gap closed | return | difference to the first | gap closed | "
        "sends a week | viewing days a week | churn a month",
        "{name} | {executor} | {return:.2i} | {paired_diff:+.2i} | {gap_closed:.3i} | {sends:+} | "
        "{viewing_days_per_week:.3f} | {churn_per_month:.2 %}",
        rows,
    )


def _groups(board: Leaderboard) -> str:
    rows = [
        {
            "name": group["name"],
            "seeds": group["seeds"],
            "lead": (group["iqm_lead"], *group["iqm_lead_ci95"]),
            "return": (group["iqm"], *group["iqm_ci95_of_seeds"]),
            "better": [
                f"{p[0]:.2f} over {other}"
                for other, p in group["probability_of_improvement"].items()
            ]
            or None,
        }
        for group in board.groups
    ]
    return table_of(
        f"agents that differ in their seed | seeds | lead over {board.baseline}, interquartile "
        "mean [seeds and members] | return [seeds alone] | probability of improvement",
        "{name} | {seeds:d;} | {lead:+.2i} | {return:.2i} | {better:;}",
        rows,
    )


def not_grouped(board: Leaderboard) -> str:
    """Return which agents are in no group of training seeds, and why; empty where all are."""
    return " ".join(
        f"{name} is in no group: {reason}." for name, reason in board.not_grouped.items()
    )


def _segments(board: Leaderboard) -> str:
    names = list(board.rows[0]["by_segment"])
    rows = [
        (
            row["name"],
            *(
                f"{part['return']:.2f} ({sum(part['sends_per_week'].values()):.1f} sends)"
                for part in (row["by_segment"][name] for name in names)
            ),
        )
        for row in sorted(board.rows, key=lambda row: -row["return"])
    ]
    return table(("agent", *names), rows)


def _interval(row: dict[str, Any], name: str, ends: str = "") -> Numbers | None:
    """Return a row's number with its interval, or None where there is none."""
    return None if row[name] is None else (row[name], *row[f"{ends or name}_ci95"])
