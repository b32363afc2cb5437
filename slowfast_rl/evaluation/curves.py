"""Long-term curves in TensorBoard: one run per agent, with the simulated week as step."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.tensorboard import SummaryWriter

from slowfast_rl.evaluation.leaderboard import Leaderboard
from slowfast_rl.evaluation.protocol import SEGMENTS
from slowfast_rl.evaluation.twins import Rollout

LAYOUT = {
    "Long-term reward": {
        "return, 95 % interval": [
            "Margin",
            ["eval/return", "eval/return_ci_low", "eval/return_ci_high"],
        ],
        "reward per week": ["Multiline", ["Long-term reward/per_week"]],
        "cumulative reward": ["Multiline", ["Long-term reward/cumulative"]],
    },
} | {
    f"Segment {s}": {
        name.replace("_", " "): ["Multiline", [f"segment/{s}/{name}$"]]
        for name in ("reward", "viewing_days", "sends")
    }
    for s in SEGMENTS
}
_COUNTS = ("store_fallbacks", "refused_writes", "stale_reads", "mid_week_plan_changes")


def write_curves(
    board: Leaderboard, folder: Path, steps: int | None = None, curved: Collection[str] = ()
) -> None:
    """Write each agent's long-term curves to ``folder/<agent>``.

    An agent's return is written at steps 0 and ``steps``: a horizontal line, for comparison with
    the returns that training writes.

    Args:
        board: a leaderboard.
        folder: TensorBoard's log directory.
        steps: the step at which the horizontal lines end; None for the number of weeks.
        curved: names of the agents whose returns training has written already.
    """
    end = board.protocol.weeks if steps is None else steps
    for row in board.rows:
        with SummaryWriter(str(folder / row["name"])) as writer:
            _write_weeks(writer, board.rollouts[row["name"]], board)
            if row["name"] not in curved:
                for step in (0, end):
                    _write_return(writer, row, step)
            for name in _COUNTS:
                tag = f"store/{name.removeprefix('store_')}"
                writer.add_scalar(tag, row[name], board.protocol.weeks)
            writer.add_custom_scalars(LAYOUT)


def _write_return(writer: SummaryWriter, row: dict[str, Any], step: int) -> None:
    writer.add_scalar("eval/return", row["return"], step)
    writer.add_scalar("eval/return_ci_low", row["return_ci95"][0], step)
    writer.add_scalar("eval/return_ci_high", row["return_ci95"][1], step)
    if row["gap_closed"] is not None:
        writer.add_scalar("eval/gap_closed", row["gap_closed"], step)


def _write_weeks(writer: SummaryWriter, rollout: Rollout, board: Leaderboard) -> None:
    members = board.protocol.num_members * rollout.lucks
    weekly = rollout.weekly
    cumulative = 0.0
    for week in range(board.protocol.weeks):
        active = float(weekly["alive"][week].sum())
        alive = max(active, 1.0)
        reward = float(weekly["reward"][week].sum()) / members
        cumulative += reward
        writer.add_scalar("Long-term reward/per_week", reward, week)
        writer.add_scalar("Long-term reward/cumulative", cumulative, week)
        for name in ("viewing_days", "goodwill"):
            writer.add_scalar(f"long_term/{name}", float(weekly[name][week].sum()) / alive, week)
        writer.add_scalar("long_term/active_members", active / members, week)
        for c, channel in enumerate(board.world.channels):
            for name in ("sends", "fatigue"):
                value = float(weekly[name][week, :, c].sum()) / alive
                writer.add_scalar(f"long_term/{name}_{channel}", value, week)
            opted_in = max(float(weekly["opted_in"][week, :, c].sum()), 1.0)
            value = float(weekly["opt_outs"][week, :, c].sum()) / opted_in
            writer.add_scalar(f"long_term/opt_outs_{channel}", value, week)
        for s, segment in enumerate(SEGMENTS):
            living = max(float(weekly["alive"][week, s]), 1.0)
            for name in ("reward", "viewing_days", "sends"):
                value = float(np.sum(weekly[name][week, s])) / living
                writer.add_scalar(f"segment/{segment}/{name}", value, week)
