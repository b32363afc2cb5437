"""Rollouts of agents on the same members under the same luck, with plans in a feature store."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from slowfast_rl.evaluation.progress import progress_bar
from slowfast_rl.evaluation.protocol import SEGMENTS, EvaluationProtocol, burned_in, segments
from slowfast_rl.members.arrays import Float32, Float64, Int64
from slowfast_rl.members.beliefs import BeliefFilter
from slowfast_rl.members.observations import weekly_observation
from slowfast_rl.members.population import Population
from slowfast_rl.members.workers import run_jobs
from slowfast_rl.members.world import World
from slowfast_rl.policies.contracts import BasePlanner, Executor
from slowfast_rl.policies.plan_exchange import PlanExchange, plans_of_planner
from slowfast_rl.store import FeatureStore, InMemoryFeatureStore

StoreFactory = Callable[[], FeatureStore]
_COUNTS = (  # of a rollout, that are summed over lucks
    "plan_counts", "fallbacks", "mid_week_plan_changes", "vetoed", "refused_writes", "stale_reads",
)  # fmt: skip
_SAMPLED_EVERY = 13  # weeks between those whose observations a rollout keeps


@dataclass(frozen=True)
class Rollout:
    """The result of an agent's rollout on the evaluated members.

    Attributes:
        returns: [N] discounted return of each member in viewing days, mean over lucks.
        weekly: sums over members and lucks, [W, 3 segments] or [W, 3 segments, C] by name:
            reward, viewing_days, sends, opens, opt_outs, opted_in, alive, churned, goodwill,
            fatigue, plan_changes. Members count if they were alive at the beginning of the week;
            goodwill and fatigue are those at its end.
        luck_returns: [L, N] the same, for each of the L lucks.
        rewards: [W, N] reward of each member in each week, not discounted, mean over lucks.
        plan_counts: [3 segments, O] number of member-weeks in which each plan was chosen.
        observations: [M, F_week] weekly observations of living members in every 13th week of the
            first luck.
        observed_plans: [M] the plans that were chosen on them, as indices into the menu.
        fallbacks: number of member-weeks in which a remembered or the safe plan was used.
        mid_week_plan_changes: number of member-weeks in which a plan of the week replaced such a
            fallback.
        vetoed: number of sends that the guard turned into holds.
        refused_writes: number of plans that the store refused.
        stale_reads: number of rows that the store returned as OUTSIDE_MAX_AGE.
    """

    returns: Float64
    weekly: dict[str, Float64]
    luck_returns: Float64
    rewards: Float32
    plan_counts: Int64
    observations: Float32
    observed_plans: Int64
    fallbacks: int
    mid_week_plan_changes: int
    vetoed: int
    refused_writes: int
    stale_reads: int

    def __repr__(self) -> str:
        """Return the mean return and the size."""
        weeks, members = self.rewards.shape
        return (
            f"<Rollout of {members} members, {self.lucks} lucks, {weeks} weeks: "
            f"return {self.returns.mean():.2f}>"
        )

    @property
    def lucks(self) -> int:
        """Number of lucks."""
        return len(self.luck_returns)

    @property
    def sends_per_week(self) -> Float64:
        """Sends per living member-week on each channel, [C]."""
        weeks = max(float(self.weekly["alive"].sum()), 1.0)
        return np.asarray(self.weekly["sends"].sum(axis=(0, 1)) / weeks)


class Twins:
    """Burned-in members, one population per luck, which are cloned for every agent.

    Args:
        world: the world.
        protocol: the evaluation protocol; None for the default.
        starts: burned-in populations, one per luck; None creates them.
    """

    def __init__(
        self,
        world: World,
        protocol: EvaluationProtocol | None = None,
        starts: Sequence[Population] | None = None,
    ) -> None:
        self.world, self.protocol = world, protocol or EvaluationProtocol()
        self.starts = starts or self._burned_in(None)
        self._starts_with_beliefs: tuple[World, Sequence[Population]] | None = None
        self.segments: Int64 = segments(self.starts[0])

    def few(self, num_members: int) -> "Twins":
        """Return the first members under the first luck, for faster and noisier estimates."""
        protocol = self.protocol.few(num_members, lucks=1)
        start = self.starts[0].shard(0, protocol.num_members)
        return Twins(self.world, protocol, [start])

    def rollout(
        self,
        planner: BasePlanner,
        executor: Executor | None = None,
        store_factory: StoreFactory = InMemoryFeatureStore,
        progress: str | None = None,
        planned: Callable[[int], bool] | None = None,
    ) -> Rollout:
        """Simulate the scored weeks with a planner and an executor, once for each luck.

        Args:
            planner: the slow policy.
            executor: the fast policy; None for the default.
            store_factory: function that returns an empty store, called for each luck; several of
                its stores are in use at once.
            progress: name of a progress bar; None for none.
            planned: function of the week that returns whether the planner runs in it; None for
                every week. In other weeks the executor uses the plans that it remembers.
        """
        starts = self._starts_for(planner)
        with progress_bar(len(starts) * self.protocol.weeks, progress, " weeks") as bar:
            run = _Run(
                self.world,
                self.protocol.weeks,
                self.segments,
                planner,
                executor,
                store_factory,
                planned or (lambda week: True),
                _Weeks(bar),
            )
            parts: list[Rollout] = []
            for part in run_jobs(_simulate, run, (start.clone() for start in starts)):
                parts.append(part)
                bar.update(len(parts) * self.protocol.weeks - bar.n)  # by weeks simulated elsewhere
        summed = {name: sum(getattr(p, name) for p in parts) for name in _COUNTS}
        return replace(
            parts[0],  # whose observations are kept
            returns=np.mean([p.returns for p in parts], axis=0),
            weekly={
                name: np.sum([p.weekly[name] for p in parts], axis=0) for name in parts[0].weekly
            },
            luck_returns=np.concatenate([p.luck_returns for p in parts]),
            rewards=np.mean([p.rewards for p in parts], axis=0, dtype=np.float32),
            **summed,
        )

    def _starts_for(self, planner: BasePlanner) -> Sequence[Population]:
        """Return the burned-in populations, with beliefs if the planner needs them."""
        belief_filter = planner.belief_filter
        if belief_filter is None:
            return self.starts
        if self._starts_with_beliefs is None or self._starts_with_beliefs[0] != belief_filter.world:
            self._starts_with_beliefs = (belief_filter.world, self._burned_in(belief_filter))
        return self._starts_with_beliefs[1]

    def _burned_in(self, belief_filter: BeliefFilter | None) -> Sequence[Population]:
        """Return a burned-in population for each luck."""
        case = self.world, self.protocol, belief_filter
        return list(run_jobs(_burned_in, case, self.protocol.streams))


def _burned_in(
    case: tuple[World, EvaluationProtocol, BeliefFilter | None], stream: int
) -> Population:
    world, protocol, belief_filter = case
    return burned_in(world, protocol, stream, None, belief_filter)


class _Weeks:
    """Moves a bar by the weeks simulated in this process; a copy in another one has no bar."""

    def __init__(self, bar: "tqdm[Any] | None") -> None:
        self._bar = bar

    def __call__(self) -> None:
        if self._bar is not None:
            self._bar.update()

    def __reduce__(self) -> tuple[Any, ...]:
        return _Weeks, (None,)


class _Run(NamedTuple):
    """What :func:`_simulate` needs for all lucks; see :meth:`Twins.rollout`."""

    world: World
    weeks: int
    segments: Int64
    planner: BasePlanner
    executor: Executor | None
    store_factory: StoreFactory
    planned: Callable[[int], bool]
    simulated: Callable[[], None]  # called in each week


def _simulate(run: _Run, population: Population) -> Rollout:
    """Simulate the scored weeks of one population, under one luck."""
    world, segments, planner = run.world, run.segments, run.planner
    plan_exchange = PlanExchange(world, run.store_factory(), run.executor)
    discount = world.reward.weekly_discount
    returns = np.zeros(population.num_members)
    weekly: dict[str, list[Float64]] = {}
    rewards: list[Float32] = []
    plan_counts = np.zeros((len(SEGMENTS), len(world.plans)), np.int64)
    sampled: list[tuple[Float32, Int64]] = []
    vetoed = 0.0
    previous: Int64 | None = None
    plans = np.zeros(population.num_members, np.int64)
    for number in range(run.weeks):
        run.simulated()
        alive, opted_in = population.alive, population.opted_in
        if run.planned(number):
            plans = plans_of_planner(population, planner)
            plan_exchange.issue(population, plans, planner.policy_version)
        np.add.at(plan_counts, (segments[alive], plans[alive]), 1)
        if number % _SAMPLED_EVERY == 0:
            sampled.append((weekly_observation(population)[alive], plans[alive]))
        week, _ = plan_exchange.run_week(population)
        returns += discount**number * week.reward
        rewards.append(week.reward.astype(np.float32))
        vetoed += float(week.vetoed.sum())
        changed = np.zeros(len(plans)) if previous is None else plans != previous
        previous = plans
        state = population.simulation.state
        measured: dict[str, NDArray[Any]] = {
            "reward": week.reward,
            "viewing_days": week.viewing_days,
            "sends": week.sends,
            "opens": week.opens,
            "opt_outs": week.opt_outs,
            "opted_in": opted_in * alive[:, None],
            "alive": alive,
            "churned": week.churned,
            "goodwill": state.goodwill * alive,
            "fatigue": state.fatigue * alive[:, None],
            "plan_changes": changed * alive,
        }
        for name, values in measured.items():
            weekly.setdefault(name, []).append(_by_segment(values, segments))
    counters = plan_exchange.reader.counters
    return Rollout(
        returns=returns,
        weekly={name: np.stack(values) for name, values in weekly.items()},
        luck_returns=returns[None],
        rewards=np.stack(rewards),
        plan_counts=plan_counts,
        observations=np.concatenate([observations for observations, _ in sampled]),
        observed_plans=np.concatenate([plans for _, plans in sampled]),
        fallbacks=counters.fallbacks,
        mid_week_plan_changes=counters.mid_week_plan_changes,
        vetoed=int(vetoed),
        refused_writes=plan_exchange.store.counters["refused_writes"],
        stale_reads=plan_exchange.store.counters["stale_reads"],
    )


def _by_segment(values: NDArray[Any], segments: Int64) -> Float64:
    """Return the sums over each segment's members of values [N] or [N, C]: [3] or [3, C]."""
    member_of = segments[None] == np.arange(len(SEGMENTS))[:, None]  # [3, N]
    return np.asarray(member_of.astype(np.float64) @ values.astype(np.float64))
