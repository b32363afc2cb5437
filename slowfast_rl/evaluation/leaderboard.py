"""The leaderboard: agents on the same members under the same luck, with paired intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from slowfast_rl.evaluation.contestants import Contestant, Entrant, enter
from slowfast_rl.evaluation.protocol import SEGMENTS, EvaluationProtocol, check_training_seed
from slowfast_rl.evaluation.references import (
    References,
    gap_closed,
    load_references,
    reference_key,
)
from slowfast_rl.evaluation.statistics import Interval, mean_interval
from slowfast_rl.evaluation.twins import Rollout, StoreFactory, Twins
from slowfast_rl.members.arrays import Float64
from slowfast_rl.members.world import World
from slowfast_rl.store import InMemoryFeatureStore

_WEEKS_PER_MONTH = 365.25 / 12 / 7


@dataclass(frozen=True)
class Leaderboard:
    """Rows of results and the rollouts behind them.

    Attributes:
        world: the world.
        protocol: who was evaluated, for how long.
        rows: one mapping per agent, as written to ``leaderboard.json``.
        rollouts: by agent name.
        references: what ``gap_closed`` was measured against, or None.
    """

    world: World
    protocol: EvaluationProtocol
    rows: list[dict[str, Any]]
    rollouts: dict[str, Rollout]
    references: References | None

    def row(self, name: str) -> dict[str, Any]:
        """Return an agent's row.

        Raises:
            KeyError: no such agent.
        """
        return {row["name"]: row for row in self.rows}[name]

    def to_json(self) -> dict[str, Any]:
        """Return the content of ``leaderboard.json``."""
        return {
            "world": self.world.name,
            "num_members": self.protocol.num_members,
            "weeks": self.protocol.weeks,
            "population_seed": self.protocol.population_seed,
            "luck_seed": self.protocol.luck_seed,
            "agents": self.rows,
        }


def compare(
    agents: Sequence[Entrant],
    world: World,
    protocol: EvaluationProtocol | None = None,
    *,
    references: References | None = None,
    twins: Twins | None = None,
    store_factory: StoreFactory = InMemoryFeatureStore,
    progress: bool = True,
) -> Leaderboard:
    """Evaluate agents on twins: the same members, states at the start, and luck.

    Args:
        agents: agents, contestants, or names of baselines. All are compared with the first.
        world: the world.
        protocol: who and how long; None for that of the twins, or the defaults.
        references: of this case; None loads the committed ones, if there are any.
        twins: burned-in members to use again; None makes them.
        store_factory: makes an empty store for each agent and luck.
        progress: show progress bars.

    Raises:
        ValueError: an unknown agent, one that was trained on these members or this luck or does
            not fit the world, a reference agent without references, or twins or references of
            another case.
    """
    protocol = protocol or (EvaluationProtocol() if twins is None else twins.protocol)
    if twins is not None and (twins.world, twins.protocol) != (world, protocol):
        raise ValueError(f"twins are of {twins.world.name}, {twins.protocol}; allowed: {protocol}")
    if references is None:
        references = load_references(world, protocol)
    elif references.key != reference_key(world, protocol):
        raise ValueError(f"references {references.key} are of another world or protocol")
    entrants = enter(agents, world, references, progress)
    for seed in {seed for entrant in entrants for seed in entrant.seeds}:
        check_training_seed(seed, protocol)
    twins = twins or Twins(world, protocol)
    rollouts: dict[str, Rollout] = {}
    planners: dict[str, Rollout] = {}  # with the default executor, single policies with their own
    for c in entrants:
        bar = c.name if progress else None
        rollouts[c.name] = twins.rollout(c.planner, c.executor, store_factory, bar)
        planners[c.name] = rollouts[c.name]
        if c.executor is not None and references is not None and not c.single:
            bar = f"{c.name}, default executor" if progress else None
            planners[c.name] = twins.rollout(c.planner, None, store_factory, bar)
    first = entrants[0].name
    rows = [
        _row(c, rollouts[c.name], first, rollouts[first], twins)
        | _against(references, rollouts[c.name], planners[c.name])
        for c in entrants
    ]
    return Leaderboard(world, protocol, rows, rollouts, references)


def _row(
    contestant: Contestant, rollout: Rollout, first: str, first_rollout: Rollout, twins: Twins
) -> dict[str, Any]:
    """Return an agent's row without what needs references."""
    own = mean_interval(rollout.returns)
    paired = mean_interval(rollout.returns - first_rollout.returns)
    is_first = contestant.name == first
    channels = twins.world.channels
    return {
        "name": contestant.name,
        "executor": "own" if contestant.single else "default",  # that gap_closed is measured with
        "seeds": list(contestant.seeds),
        "return": own.mean,
        "return_ci95": _ends(own),
        "paired_vs": None if is_first else first,
        "paired_diff": None if is_first else paired.mean,
        "paired_ci95": None if is_first else _ends(paired),
        **measures(rollout.weekly, channels),
        "mid_week_plan_changes": rollout.mid_week_plan_changes,
        "store_fallbacks": rollout.fallbacks,
        "vetoed_sends": rollout.vetoed,
        "refused_writes": rollout.refused_writes,
        "stale_reads": rollout.stale_reads,
        "by_segment": {
            name: {"return": float(rollout.returns[twins.segments == s].mean())}
            | measures({k: v[:, s : s + 1] for k, v in rollout.weekly.items()}, channels)
            for s, name in enumerate(SEGMENTS)
            if (twins.segments == s).any()
        },
        "train_cpu_seconds": contestant.train_cpu_seconds,
        "train_opportunities": contestant.train_opportunities,
    }


def _against(references: References | None, own: Rollout, planner: Rollout) -> dict[str, Any]:
    """Return the part of a row that needs references; null without them."""
    lead = None if references is None else mean_interval(own.returns - references.best_fixed)
    gap = gap_closed(planner.returns, references)
    return {
        "return_vs_default_fixed": None if lead is None else lead.mean,
        "return_vs_default_fixed_ci95": None if lead is None else _ends(lead),
        "gap_closed": None if gap is None else gap.mean,
        "gap_closed_ci95": None if gap is None else _ends(gap),
    }


def measures(weekly: dict[str, Float64], channels: tuple[str, ...]) -> dict[str, Any]:
    """Return averages per living member-week from sums, [W, 3] or [W, 3, C] per name.

    Opt-outs are per opted-in member-week, opens per send; null where there was none.
    """
    total = {name: values.sum(axis=(0, 1)) for name, values in weekly.items()}
    weeks = max(float(total["alive"]), 1.0)

    def by_channel(values: Float64, base: Float64 | float) -> dict[str, float | None]:
        shares = values / np.where(np.asarray(base) > 0, base, np.nan)
        return {c: None if np.isnan(v) else float(v) for c, v in zip(channels, shares, strict=True)}

    return {
        "sends_per_week": by_channel(total["sends"], weeks),
        "opt_out_per_week": by_channel(total["opt_outs"], total["opted_in"]),
        "open_rate": by_channel(total["opens"], total["sends"]),
        "viewing_days_per_week": float(total["viewing_days"]) / weeks,
        "churn_per_month": 1 - (1 - float(total["churned"]) / weeks) ** _WEEKS_PER_MONTH,
        "plan_changes_per_week": float(total["plan_changes"]) / weeks,
    }


def _ends(interval: Interval) -> list[float]:
    return [interval.low, interval.high]
