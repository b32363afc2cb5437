"""Long-term curves in TensorBoard: one run per agent, the simulated week as step."""

from pathlib import Path

import numpy as np
from torch.utils.tensorboard import SummaryWriter

from slowfast_rl.evaluation.leaderboard import Leaderboard
from slowfast_rl.evaluation.protocol import SEGMENTS
from slowfast_rl.evaluation.twins import Rollout

LAYOUT = {
    "Long-term reward": {
        "evaluation return, 95 % interval": [
            "Margin",
            ["eval/return", "eval/return_ci_low", "eval/return_ci_high"],
        ],
        "per week": ["Multiline", ["Long-term reward/per_week"]],
    },
    "by segment": {
        "viewing days": ["Multiline", [f"segment/{s}/viewing_days" for s in SEGMENTS]],
    },
}


def write_curves(board: Leaderboard, folder: Path) -> None:
    """Write every agent's long-term curves to ``folder/<agent>``.

    Args:
        board: a leaderboard.
        folder: TensorBoard's log directory.
    """
    for row in board.rows:
        with SummaryWriter(str(folder / row["name"])) as writer:
            _write_weeks(writer, board.rollouts[row["name"]], board)
            step = board.protocol.weeks
            writer.add_scalar("eval/return", row["return"], step)
            writer.add_scalar("eval/return_ci_low", row["return_ci95"][0], step)
            writer.add_scalar("eval/return_ci_high", row["return_ci95"][1], step)
            if row["gap_closed"] is not None:
                writer.add_scalar("eval/gap_closed", row["gap_closed"], step)
            writer.add_scalar("store/fallbacks", row["store_fallbacks"], step)
            writer.add_scalar("store/refused_writes", row["refused_writes"], step)
            writer.add_scalar("store/mid_week_plan_changes", row["mid_week_plan_changes"], step)
            writer.add_custom_scalars(LAYOUT)


def _write_weeks(writer: SummaryWriter, rollout: Rollout, board: Leaderboard) -> None:
    members = board.protocol.num_members * rollout.lucks
    weekly = rollout.weekly
    cumulative = 0.0
    for week in range(board.protocol.weeks):
        alive = max(float(weekly["alive"][week].sum()), 1.0)
        reward = float(weekly["reward"][week].sum()) / members
        cumulative += reward
        writer.add_scalar("Long-term reward/per_week", reward, week)
        writer.add_scalar("Long-term reward/cumulative", cumulative, week)
        for name in ("viewing_days", "goodwill"):
            writer.add_scalar(f"long_term/{name}", float(weekly[name][week].sum()) / alive, week)
        writer.add_scalar("long_term/active_members", alive / members, week)
        for c, channel in enumerate(board.world.channels):
            for name in ("sends", "fatigue"):
                value = float(weekly[name][week, :, c].sum()) / alive
                writer.add_scalar(f"long_term/{name}_{channel}", value, week)
            opted_in = max(float(weekly["opted_in"][week, :, c].sum()), 1.0)
            value = float(weekly["opt_outs"][week, :, c].sum()) / opted_in
            writer.add_scalar(f"long_term/opt_outs_{channel}", value, week)
        for s, segment in enumerate(SEGMENTS):
            living = max(float(weekly["alive"][week, s]), 1.0)
            sends = float(np.sum(weekly["sends"][week, s])) / living
            viewing = float(weekly["viewing_days"][week, s]) / living
            writer.add_scalar(f"segment/{segment}/viewing_days", viewing, week)
            writer.add_scalar(f"segment/{segment}/sends", sends, week)
