"""The leaderboard: agents evaluated on the same members and luck, with paired intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from slowfast_rl.evaluation.contestants import (
    Contestant,
    Entrant,
    make_contestants,
    named_contestant,
)
from slowfast_rl.evaluation.protocol import SEGMENTS, EvaluationProtocol, check_training_seed
from slowfast_rl.evaluation.references import (
    References,
    gap_closed,
    load_references,
    reference_key,
)
from slowfast_rl.evaluation.statistics import Interval, mean_interval, mean_intervals
from slowfast_rl.evaluation.twins import Rollout, StoreFactory, Twins
from slowfast_rl.members.arrays import Float64, Int64
from slowfast_rl.members.loading import as_world
from slowfast_rl.members.world import World
from slowfast_rl.store import InMemoryFeatureStore

if TYPE_CHECKING:
    import pandas

    from slowfast_rl.evaluation.figures import Axes

WEEKS_PER_MONTH = 365.25 / 12 / 7


@dataclass(frozen=True)
class Leaderboard:
    """The results of an evaluation, one row per agent, and the rollouts they are computed from.

    Attributes:
        world: the world.
        protocol: the evaluation protocol.
        rows: one mapping per agent, as written to ``leaderboard.json``.
        rollouts: rollouts by the agent's name.
        references: the references of ``gap_closed``, or None.
        baseline: the policy over which leads are measured: "best_fixed", or without references
            "never"; it runs through the default executor.
        baseline_rollout: its rollout.
        segments: [N] each member's segment, as an index into ``SEGMENTS``.
        contestants: planners and executors by the agent's name.
        groups: statistics over training seeds of agents that differ in their seed alone; see
            :func:`slowfast_rl.evaluation.seeds.statistics_over_seeds`.
        not_grouped: why an agent of a recipe that the board has several times is in no group, by
            the agent's name.
    """

    world: World
    protocol: EvaluationProtocol
    rows: list[dict[str, Any]]
    rollouts: dict[str, Rollout]
    references: References | None
    baseline: str
    baseline_rollout: Rollout
    segments: Int64
    contestants: dict[str, Contestant]
    groups: list[dict[str, Any]]
    not_grouped: dict[str, str]

    def __repr__(self) -> str:
        """Return a short text: who was compared, and on how many members."""
        agents = ", ".join(row["name"] for row in self.rows)
        return f"<Leaderboard of {agents} in {self.world.name}, {self.protocol}>"

    def _repr_html_(self) -> str:
        """Show the board as a table in a notebook."""
        return str(self.to_frame().round(3).to_html(notebook=True))

    def to_frame(self) -> "pandas.DataFrame":
        """Return the leaderboard as a table, one row per agent, best return first.

        Intervals are the columns ``…_low`` and ``…_high``; channels are columns such as
        ``push_sends_per_week``.

        Raises:
            ImportError: pandas is missing; it comes with the extra ``report``.
        """
        from slowfast_rl.members.frames import frame_of_rows

        return frame_of_rows(sorted(self.rows, key=lambda row: -row["return"]))

    def plot(self, **keywords: Any) -> "Axes":
        """Draw agents' lead over the baseline, week by week, as ``sf.plots.long_term`` does.

        Args:
            **keywords: passed to :func:`slowfast_rl.evaluation.plots.long_term`.

        Raises:
            ImportError: matplotlib is missing; it comes with the extra ``report``.
        """
        from slowfast_rl.evaluation.plots import long_term

        return long_term(self, **keywords)

    def lead(self, name: str, cumulative: bool = False) -> Float64:
        """Return an agent's weekly lead over the baseline, [W, 3]: mean, low and high.

        The lead is the difference between the rewards of twins: the same members, under the same
        luck. The intervals are 95 %, paired over members.

        Args:
            name: the agent's name.
            cumulative: whether to sum the lead over the weeks so far, without discount.

        Raises:
            KeyError: there is no agent of this name.
        """
        leads = self.rollout(name).rewards - self.baseline_rollout.rewards
        return mean_intervals(leads.cumsum(axis=0, dtype=np.float64) if cumulative else leads)

    def row(self, name: str) -> dict[str, Any]:
        """Return an agent's row.

        Raises:
            KeyError: there is no agent of this name.
        """
        names = [row["name"] for row in self.rows]
        if name not in names:
            raise KeyError(f"the board has no agent {name!r}; allowed: {', '.join(names)}")
        return self.rows[names.index(name)]

    def rollout(self, name: str) -> Rollout:
        """Return an agent's rollout.

        Raises:
            KeyError: there is no agent of this name.
        """
        return self.rollouts[self.row(name)["name"]]

    def to_json(self) -> dict[str, Any]:
        """Return the content of ``leaderboard.json``."""
        return {
            "world": self.world.name,
            "num_members": self.protocol.num_members,
            "weeks": self.protocol.weeks,
            "population_seed": self.protocol.population_seed,
            "luck_seed": self.protocol.luck_seed,
            "agents": self.rows,
            "groups": self.groups,
            "not_grouped": self.not_grouped,
        }


def compare(
    agents: Sequence[Entrant],
    world: World | str,
    protocol: EvaluationProtocol | None = None,
    *,
    references: References | None = None,
    twins: Twins | None = None,
    store_factory: StoreFactory = InMemoryFeatureStore,
    progress: bool = True,
) -> Leaderboard:
    """Evaluate agents on twins: the same members, initial states and luck.

    Args:
        agents: agents, contestants and names of baselines; all are compared with the first.
        world: the world, or its name or file.
        protocol: the evaluation protocol; None for that of the twins, or the default.
        references: the references of this case; None loads the committed ones, if they exist.
        twins: burned-in members from an earlier call; None creates them.
        store_factory: function that returns an empty store, called for each agent and luck; several
            of its stores are in use at once.
        progress: whether to show progress bars.

    Returns:
        The leaderboard, with one row per agent in the given order.

    Raises:
        ValueError: an agent is unknown, was trained with a seed of this evaluation or in an
            incompatible world, or needs references that do not exist; or the twins or references
            are those of another world or protocol.
    """
    world = as_world(world)
    protocol = protocol or (EvaluationProtocol() if twins is None else twins.protocol)
    if twins is not None and (twins.world, twins.protocol) != (world, protocol):
        raise ValueError(
            f"twins are of {twins.world.name}, {twins.protocol}; allowed: {world.name}, {protocol}"
        )
    if references is None:
        references = load_references(world, protocol)
    elif references.key != reference_key(world, protocol):
        raise ValueError(f"references {references.key} are of another world or protocol")
    evaluated = make_contestants(agents, world, references, progress)
    for seed in {seed for contestant in evaluated for seed in contestant.seeds}:
        check_training_seed(seed, protocol)
    twins = twins or Twins(world, protocol)
    rollouts: dict[str, Rollout] = {}
    planner_rollouts: dict[str, Rollout] = {}  # those that score gap_closed
    for c in evaluated:
        bar = c.name if progress else None
        rollouts[c.name] = twins.rollout(c.planner, c.executor, store_factory, bar)
        planner_rollouts[c.name] = rollouts[c.name]
        if c.executor is not None and references is not None and not c.single:
            bar = f"{c.name}, default executor" if progress else None
            planner_rollouts[c.name] = twins.rollout(c.planner, None, store_factory, bar)
    first = evaluated[0].name
    baseline = "never" if references is None else "best_fixed"
    entered = next((c.name for c, a in zip(evaluated, agents, strict=True) if a == baseline), None)
    if entered is None:
        bar = f"{baseline}, baseline of leads" if progress else None
        planner = named_contestant(baseline, world, references).planner
        baseline_rollout = twins.rollout(planner, None, store_factory, bar)
    else:
        baseline_rollout = rollouts[entered]
    rows = [
        _row(c, rollouts[c.name], first, rollouts[first], twins)
        | _reference_columns(references, rollouts[c.name], planner_rollouts[c.name])
        for c in evaluated
    ]
    return Leaderboard(
        world, protocol, rows, rollouts, references, baseline, baseline_rollout, twins.segments,
        {c.name: c for c in evaluated},
        *_over_seeds(rows, rollouts, baseline_rollout, twins.segments),
    )  # fmt: skip


def _over_seeds(
    rows: list[dict[str, Any]], rollouts: dict[str, Rollout], baseline: Rollout, segments: Int64
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return the statistics over training seeds, and why agents are in no group, by their names."""
    recipes = [row["group"] for row in rows if row["group"]]
    if len(set(recipes)) == len(recipes):
        return [], {}
    from slowfast_rl.evaluation.seeds import groups, statistics_over_seeds

    returns = {name: rollout.returns for name, rollout in rollouts.items()}
    found, left_out = groups(rows)
    return statistics_over_seeds(found, returns, baseline.returns, segments), left_out


def _row(
    contestant: Contestant, rollout: Rollout, first: str, first_rollout: Rollout, twins: Twins
) -> dict[str, Any]:
    """Return an agent's row without the columns that need references."""
    own = mean_interval(rollout.returns)
    paired = mean_interval(rollout.returns - first_rollout.returns)
    is_first = contestant.name == first
    channels = twins.world.channels
    return {
        "name": contestant.name,
        "executor": "own" if contestant.single else "default",  # the executor of gap_closed
        "seeds": list(contestant.seeds),
        "checkpoint": contestant.checkpoint,
        "group": contestant.group,
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


def _reference_columns(
    references: References | None, own: Rollout, planner: Rollout
) -> dict[str, Any]:
    """Return the columns of a row that need references; their values are None without them."""
    lead = None if references is None else mean_interval(own.returns - references.best_fixed)
    gap = gap_closed(planner.returns, references)
    return {
        "return_vs_default_fixed": None if lead is None else lead.mean,
        "return_vs_default_fixed_ci95": None if lead is None else _ends(lead),
        "gap_closed": None if gap is None else gap.mean,
        "gap_closed_ci95": None if gap is None else _ends(gap),
    }


def measures(weekly: dict[str, Float64], channels: tuple[str, ...]) -> dict[str, Any]:
    """Return averages per week of a living member.

    Opt-outs are per week of an opted-in member and opens are per send; they are None where the
    denominator is 0.

    Args:
        weekly: sums over members, [W, 3] or [W, 3, C] by name; see :class:`Rollout`.
        channels: names of the C channels.
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
        "churn_per_month": 1 - (1 - float(total["churned"]) / weeks) ** WEEKS_PER_MONTH,
        "plan_changes_per_week": float(total["plan_changes"]) / weeks,
    }


def _ends(interval: Interval) -> list[float]:
    return [interval.low, interval.high]
