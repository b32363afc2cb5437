"""The leaderboard: agents on the same members under the same luck, with paired intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from slowfast_rl.agents import SlowFastAgent
from slowfast_rl.envs.execution import Planner
from slowfast_rl.envs.executor import Executor
from slowfast_rl.evaluation.protocol import SEGMENTS, Protocol
from slowfast_rl.evaluation.references import References, load_references
from slowfast_rl.evaluation.statistics import Interval, mean_interval, ratio_interval
from slowfast_rl.evaluation.twins import Rollout, StoreFactory, Twins
from slowfast_rl.members.arrays import Float64
from slowfast_rl.members.world import World
from slowfast_rl.slow import DealtPlanner, FixedPlanner, PerMemberPlanner, RandomPlanner
from slowfast_rl.store import InMemoryFeatureStore

NAMES = ("never", "always", "random", "best_fixed", "oracle")
_CONTROL_SEED = 7  # of random plans and of dealing
_WEEKS_PER_MONTH = 365.25 / 12 / 7


class Contestant(NamedTuple):
    """An agent as the leaderboard runs it."""

    name: str
    planner: Planner
    executor: Executor | None = None  # None for the default
    seeds: tuple[int, ...] = ()
    train_cpu_seconds: float = 0.0
    train_opportunities: int = 0


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
    protocol: Protocol
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


def slowfast_contestants(agent: SlowFastAgent, world: World) -> list[Contestant]:
    """Return a trained agent with its two controls: untrained, and its own plans dealt at random."""
    trained = {
        "seeds": (agent.seed,),
        "train_cpu_seconds": agent.train_cpu_seconds,
        "train_opportunities": agent.train_opportunities,
    }
    return [
        Contestant(agent.name, agent.slow, agent.fast, **trained),
        Contestant(
            f"{agent.name}_dealt", DealtPlanner(agent.slow, _CONTROL_SEED), agent.fast, **trained
        ),
        untrained_contestant(agent, world),
    ]


def untrained_contestant(agent: SlowFastAgent, world: World) -> Contestant:
    """Return the same agent as before its training."""
    fresh = agent.untrained_copy(world)
    return Contestant(f"{agent.name}_untrained", fresh.slow, fresh.fast, seeds=(agent.seed,))


def named_contestant(name: str, world: World, references: References | None) -> Contestant:
    """Return a baseline by name.

    Raises:
        ValueError: unknown name, or a reference that was not computed for this case.
    """
    plans = world.plans
    if name == "never":
        return Contestant(name, FixedPlanner(world, plans.min(axis=0).tolist()))
    if name == "always":
        return Contestant(name, FixedPlanner(world, plans.max(axis=0).tolist()))
    if name == "random":
        return Contestant(name, RandomPlanner(_CONTROL_SEED))
    if name not in NAMES:
        raise ValueError(f"unknown agent {name!r}; allowed: {', '.join(NAMES)}")
    if references is None:
        raise ValueError(
            f"{name!r} needs references of this case; compute them with "
            f"python -m slowfast_rl.cli.references world={world.name}"
        )
    if name == "best_fixed":
        return Contestant(name, FixedPlanner(world, references.best_fixed_plan))
    return Contestant(name, PerMemberPlanner(world, references.oracle_plans))


def compare(
    agents: Sequence[SlowFastAgent | Contestant | str],
    world: World,
    protocol: Protocol | None = None,
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
        protocol: who and how long; None for the defaults.
        references: of this case; None loads the committed ones, if there are any.
        twins: burned-in members to use again; None makes them.
        store_factory: makes an empty store for each agent and luck.
        progress: show progress bars.

    Raises:
        ValueError: unknown name, or a reference agent without references.
    """
    protocol = protocol or Protocol()
    references = references or load_references(world, protocol)
    entrants = [
        named_contestant(agent, world, references)
        if isinstance(agent, str)
        else slowfast_contestants(agent, world)[0]
        if isinstance(agent, SlowFastAgent)
        else agent
        for agent in agents
    ]
    twins = twins or Twins(world, protocol)
    rollouts: dict[str, Rollout] = {}
    planners: dict[str, Rollout] = {}  # the same planners with the default executor
    for c in entrants:
        bar = c.name if progress else None
        rollouts[c.name] = twins.rollout(c.planner, c.executor, store_factory, bar)
        planners[c.name] = rollouts[c.name]
        if c.executor is not None and references is not None:
            bar = f"{c.name}, default executor" if progress else None
            planners[c.name] = twins.rollout(c.planner, None, store_factory, bar)
    first = entrants[0].name
    rows = [
        _row(c, rollouts[c.name], planners[c.name], first, rollouts[first], references, twins)
        for c in entrants
    ]
    return Leaderboard(world, protocol, rows, rollouts, references)


def _row(
    contestant: Contestant,
    rollout: Rollout,
    planner: Rollout,
    first: str,
    first_rollout: Rollout,
    references: References | None,
    twins: Twins,
) -> dict[str, Any]:
    own = mean_interval(rollout.returns)
    paired = mean_interval(rollout.returns - first_rollout.returns)
    gap = over_fixed = None
    if references is not None:
        lead = references.oracle - references.best_fixed
        gap = ratio_interval(planner.returns - references.best_fixed, lead)
        over_fixed = mean_interval(rollout.returns - references.best_fixed)
    is_first = contestant.name == first
    return {
        "name": contestant.name,
        "executor": "default" if contestant.executor is None else "own",
        "seeds": list(contestant.seeds),
        "return": own.mean,
        "return_ci95": _ends(own),
        "paired_vs": None if is_first else first,
        "paired_diff": None if is_first else paired.mean,
        "paired_ci95": None if is_first else _ends(paired),
        "return_vs_default_fixed": None if over_fixed is None else over_fixed.mean,
        "return_vs_default_fixed_ci95": None if over_fixed is None else _ends(over_fixed),
        "gap_closed": None if gap is None else gap.mean,
        "gap_closed_ci95": None if gap is None else _ends(gap),
        **measures(rollout.weekly, twins.world.channels),
        "mid_week_plan_changes": rollout.mid_week_plan_changes,
        "store_fallbacks": rollout.fallbacks,
        "vetoed_sends": rollout.vetoed,
        "refused_writes": rollout.refused_writes,
        "by_segment": {
            name: {"return": float(rollout.returns[twins.segments == s].mean())}
            | measures(
                {k: v[:, s : s + 1] for k, v in rollout.weekly.items()}, twins.world.channels
            )
            for s, name in enumerate(SEGMENTS)
            if (twins.segments == s).any()
        },
        "train_cpu_seconds": contestant.train_cpu_seconds,
        "train_opportunities": contestant.train_opportunities,
    }


def measures(weekly: dict[str, Float64], channels: tuple[str, ...]) -> dict[str, Any]:
    """Return averages per living member-week from sums, [W, 3] or [W, 3, C] per name."""
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
