"""Gains over never and over the best fixed plan, by segment, paired on twins."""

from typing import Any

import numpy as np

from slowfast_rl.evaluation import Leaderboard, mean_interval, ratio_interval
from slowfast_rl.evaluation.protocol import SEGMENTS
from slowfast_rl.members.arrays import Int64

AGAINST = ("never", "best_fixed")


def gains_by_segment(
    board: Leaderboard, segments: Int64, groups: dict[str, list[str]]
) -> dict[str, Any]:
    """Return absolute and relative gains with 95 % intervals, by planner, baseline and segment.

    Args:
        board: with the planners, never and best_fixed on it.
        segments: [N] 0 casual to 2 heavy.
        groups: names on the board of a planner's seeds, whose mean return counts, by its name.
    """
    members = {"all": np.ones(len(segments), bool)}
    members |= {name: segments == s for s, name in enumerate(SEGMENTS)}
    base = {name: board.rollouts[name].returns for name in AGAINST}
    gains: dict[str, Any] = {}
    for name, seeds in groups.items():
        returns = np.mean([board.rollouts[seed].returns for seed in seeds], axis=0)
        gains[name] = {
            against: {
                part: {
                    "absolute": list(mean_interval((returns - other)[rows])),
                    "relative": _relative((returns - other)[rows], other[rows]),
                    "sends": sends(board, seeds, part),
                }
                for part, rows in members.items()
            }
            for against, other in base.items()
        }
    level = {a: {p: float(o[rows].mean()) for p, rows in members.items()} for a, o in base.items()}
    return {"gains": gains, "level": level, "trend": trend(board, segments, groups)}


def trend(
    board: Leaderboard, segments: Int64, groups: dict[str, list[str]]
) -> dict[str, dict[str, list[float]]]:
    """Return the casual viewers' gain less the heavy viewers', absolute, with its interval."""
    result: dict[str, dict[str, list[float]]] = {}
    for name, seeds in groups.items():
        returns = np.mean([board.rollouts[seed].returns for seed in seeds], axis=0)
        result[name] = {}
        for against in AGAINST:
            gain = returns - board.rollouts[against].returns
            casual, heavy = (mean_interval(gain[segments == s]) for s in (0, 2))
            half = np.hypot(casual.high - casual.mean, heavy.high - heavy.mean)
            lead = casual.mean - heavy.mean
            result[name][against] = [lead, lead - half, lead + half]
    return result


def sends(board: Leaderboard, seeds: list[str], part: str) -> float:
    """Return sends a week per living member of a segment, mean over seeds."""
    rows = [board.row(seed) for seed in seeds]
    rows = rows if part == "all" else [row["by_segment"][part] for row in rows]
    return float(np.mean([sum(row["sends_per_week"].values()) for row in rows]))


def _relative(gain: Any, base: Any) -> list[float] | None:
    interval = ratio_interval(gain, base)
    return None if interval is None else list(interval)
