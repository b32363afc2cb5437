"""Long-term curves in TensorBoard: one run per agent, with the simulated week as step."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from slowfast_rl.evaluation.leaderboard import Leaderboard
from slowfast_rl.evaluation.protocol import SEGMENTS
from slowfast_rl.evaluation.statistics import mean_interval, ratio_interval
from slowfast_rl.evaluation.twins import Rollout
from slowfast_rl.members.arrays import Float64

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_COUNTS = ("store_fallbacks", "refused_writes", "stale_reads", "mid_week_plan_changes")


def layout(baseline: str) -> dict[str, Any]:
    """Return the charts of TensorBoard's tab Custom Scalars."""
    lead = f"lead_over_{baseline}"
    per_week = [f"Long-term reward/{lead}", "lead/per_week_ci_low", "lead/per_week_ci_high"]
    summed = ["lead/summed", "lead/summed_ci_low", "lead/summed_ci_high"]
    gap = {"gap closed": ["Multiline", ["eval/gap_closed"]]} if baseline != "never" else {}
    return {  # TensorBoard draws the bands of a group in reverse order
        f"Lead over {baseline}, 95 % band": {
            "summed over the weeks": ["Margin", summed],
            "per week": ["Margin", per_week],
        },
        "Long-term reward": {
            "reward per week": ["Multiline", ["Long-term reward/per_week"]],
            "cumulative reward": ["Multiline", ["Long-term reward/cumulative"]],
        },
        "During training": gap
        | {
            f"lead over {baseline} in return, 95 % band": [
                "Margin",
                [f"eval/{lead}", f"eval/{lead}_ci_low", f"eval/{lead}_ci_high"],
            ],
        },
    } | {
        f"Segment {s}": {
            name.replace("_", " "): ["Multiline", [f"segment/{s}/{name}$"]]
            for name in ("reward", "viewing_days", "sends")
        }
        for s in SEGMENTS
    }


class BaselineLines(NamedTuple):
    """The level lines of baselines beside an agent's evaluations during training.

    Attributes:
        num_members: number of members of those evaluations, under the first luck.
        opportunities: the step at which the lines end.
    """

    num_members: int
    opportunities: int


def write_curves(
    board: Leaderboard,
    folder: Path,
    runs: Mapping[str, str],
    *,
    lines: BaselineLines | None = None,
    texts: Mapping[str, str] | None = None,
    figures: Callable[[Leaderboard, str], Iterator[tuple[str, Any]]] | None = None,
) -> None:
    """Write agents' long-term curves, each to a run of its own.

    A baseline's run that is there already is left alone, so that the jobs of a sweep write each
    baseline once.

    Args:
        board: a leaderboard.
        folder: TensorBoard's log directory.
        runs: the runs' names by the agents' names; other agents of the board are left out.
        lines: the evaluations during training beside which baselines get level lines; None where
            there was no training.
        texts: Markdown by title, for the runs of trained agents.
        figures: yields the title and figure of each figure of a trained agent; None for none.
    """
    from torch.utils.tensorboard import SummaryWriter  # imports torch, which --help does without

    for name, run in runs.items():
        baseline = not board.row(name)["seeds"]
        if baseline and (folder / run).exists():
            continue
        # A baseline's folder appears whole, because nobody writes one again that is there.
        # Until then it is outside of the log directory, where TensorBoard would show it.
        place = folder.parent / f".{run}.{os.getpid()}.partial" if baseline else folder / run
        with SummaryWriter(str(place)) as writer:
            _write_weeks(writer, board.rollouts[name], board)
            _write_lead(writer, name, board)
            _write_final(writer, name, board)
            if baseline and lines is not None:
                _write_baseline_lines(writer, name, board, lines)
            if not baseline:
                for title, text in (texts or {}).items():
                    writer.add_text(title, text)
                for title, figure in figures(board, name) if figures is not None else ():
                    writer.add_figure(title, figure, board.protocol.weeks)
            writer.add_custom_scalars(layout(board.baseline))
        if baseline:
            _appear(place, folder / run)


def _appear(partial: Path, folder: Path) -> None:
    """Rename a folder that is whole; where another process was faster, remove it."""
    try:
        partial.rename(folder)
    except OSError:
        shutil.rmtree(partial)


def evaluation(
    returns: Float64, planned: Float64, baseline: str, base: Float64, oracle: Float64 | None
) -> dict[str, float]:
    """Return the metrics ``eval/…`` of an evaluation during training, by tag.

    Args:
        returns: [N] return of each member.
        planned: [N] the same under the default executor, which scores ``gap_closed``.
        baseline: name of the policy over which leads are measured.
        base: [N] its returns.
        oracle: [N] the oracle's returns; None without references.
    """
    own, lead = mean_interval(returns), mean_interval(returns - base)
    found = {"return": own, f"lead_over_{baseline}": lead}
    metrics = {f"eval/{name}": interval.mean for name, interval in found.items()}
    for name, interval in found.items():
        metrics |= {f"eval/{name}_ci_low": interval.low, f"eval/{name}_ci_high": interval.high}
    gap = None if oracle is None else ratio_interval(planned - base, oracle - base)
    return metrics if gap is None else metrics | {"eval/gap_closed": gap.mean}


def final_metrics(board: Leaderboard, name: str) -> dict[str, float]:
    """Return the metrics ``final/…`` of an agent: the whole evaluation, by tag."""
    row, base = board.row(name), board.baseline_rollout.returns
    lead = float((board.rollouts[name].returns - base).mean())
    found = {"return": row["return"], f"lead_over_{board.baseline}": lead}
    if row["gap_closed"] is not None:
        found["gap_closed"] = row["gap_closed"]
    return {f"final/{metric}": value for metric, value in found.items()}


def _write_final(writer: "SummaryWriter", name: str, board: Leaderboard) -> None:
    for count in _COUNTS:
        tag = f"store/{count.removeprefix('store_')}"
        writer.add_scalar(tag, board.row(name)[count], board.protocol.weeks)
    for tag, value in final_metrics(board, name).items():
        writer.add_scalar(tag, value, board.row(name)["train_opportunities"])
    leads = board.rollouts[name].returns - board.baseline_rollout.returns
    writer.add_histogram(f"members/lead_over_{board.baseline}", leads, board.protocol.weeks)


def _write_baseline_lines(
    writer: "SummaryWriter", name: str, board: Leaderboard, lines: BaselineLines
) -> None:
    """Write a baseline's level lines, on the members and luck of the evaluations in training."""

    def first(rollout: Rollout) -> Float64:
        return rollout.luck_returns[0, : lines.num_members]

    oracle = board.rollouts.get("oracle") if board.references is not None else None
    metrics = evaluation(
        first(board.rollouts[name]),
        first(board.rollouts[name]),
        board.baseline,
        first(board.baseline_rollout),
        None if oracle is None else first(oracle),
    )
    for step in (0, lines.opportunities):
        for tag, value in metrics.items():
            writer.add_scalar(tag, value, step)


def _write_lead(writer: "SummaryWriter", name: str, board: Leaderboard) -> None:
    """Write the lead over the baseline, paired over members, and the ends of its interval."""
    per_week = f"Long-term reward/lead_over_{board.baseline}"
    for tag, band, cumulative in (
        (per_week, "lead/per_week", False),
        ("lead/summed", "lead/summed", True),
    ):
        for week, (mean, low, high) in enumerate(board.lead(name, cumulative)):
            writer.add_scalar(tag, mean, week)
            writer.add_scalar(f"{band}_ci_low", low, week)
            writer.add_scalar(f"{band}_ci_high", high, week)


def _write_weeks(writer: "SummaryWriter", rollout: Rollout, board: Leaderboard) -> None:
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
