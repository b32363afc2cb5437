"""The leaderboard as Markdown and in the terminal."""

from collections.abc import Sequence
from typing import Any

from slowfast_rl.evaluation.leaderboard import Leaderboard

_HEADER = (
    "agent", "executor", "return", "difference to the first", "gap closed", "sends a week",
    "viewing days a week", "churn a month",
)  # fmt: skip


def markdown(board: Leaderboard) -> str:
    """Return ``leaderboard.md``: best return first, 95 % intervals over members in brackets."""
    p = board.protocol
    lines = [
        f"# Leaderboard: world `{board.world.name}`",
        "",
        f"{p.num_members} members of population seed {p.population_seed}, {len(p.streams)} lucks of "
        f"luck seed {p.luck_seed}, {p.weeks} weeks after {p.burn_in} weeks under random plans. "
        "Return in discounted viewing days; intervals are 95 %, paired over members. `gap closed` "
        "scores the planner alone, with the default executor: 0 is the best fixed plan, 1 the best "
        "constant plan per member in hindsight.",
        "",
        *_rows(board),
        "",
    ]
    if board.references is not None:
        r = board.references
        plan = " + ".join(
            f"{t} {c}" for t, c in zip(r.best_fixed_plan, board.world.channels, strict=True)
        )
        lines += [
            f"Best fixed plan: {plan} a week. The oracle leads it by {100 * r.gap:.1f} %.",
            "",
        ]
    lines += ["## By segment (terciles of the base viewing rate)", "", *_segments(board), ""]
    return "\n".join(lines)


def _rows(board: Leaderboard) -> list[str]:
    rows = sorted(board.rows, key=lambda row: -row["return"])
    return _table(
        _HEADER,
        [
            (
                row["name"],
                row["executor"],
                _number(row["return"], row["return_ci95"], 2),
                _number(row["paired_diff"], row["paired_ci95"], 2, signed=True),
                _number(row["gap_closed"], row["gap_closed_ci95"], 3),
                " + ".join(f"{v:.2f} {c}" for c, v in row["sends_per_week"].items()),
                f"{row['viewing_days_per_week']:.3f}",
                f"{100 * row['churn_per_month']:.2f} %",
            )
            for row in rows
        ],
    )


def _segments(board: Leaderboard) -> list[str]:
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
    return _table(("agent", *names), rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def _number(value: Any, ends: Any, digits: int, signed: bool = False) -> str:
    if value is None:
        return "–"
    sign = "+" if signed else ""
    return f"{value:{sign}.{digits}f} [{ends[0]:{sign}.{digits}f}, {ends[1]:{sign}.{digits}f}]"
