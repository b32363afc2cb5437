"""Rollouts on the same members under the same luck, week by week, through the feature store."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from slowfast_rl.evaluation.progress import progress_bar
from slowfast_rl.evaluation.protocol import SEGMENTS, EvaluationProtocol, burned_in, segments
from slowfast_rl.members.arrays import Float64, Int64
from slowfast_rl.members.population import Population
from slowfast_rl.members.world import World
from slowfast_rl.policies.contracts import BasePlanner, Executor
from slowfast_rl.policies.plan_exchange import PlanExchange
from slowfast_rl.store import FeatureStore, InMemoryFeatureStore

StoreFactory = Callable[[], FeatureStore]


@dataclass(frozen=True)
class Rollout:
    """What an agent did to the evaluated members.

    Attributes:
        returns: [N] discounted return per member, mean over lucks.
        weekly: sums over members and lucks, [W, 3 segments] or [W, 3 segments, C] per name:
            reward, viewing_days, sends, opens, opt_outs, opted_in, alive, churned, goodwill,
            fatigue, plan_changes. Counts of members and states are of those alive as the week
            began; goodwill and fatigue are as it ended.
        lucks: number of lucks.
        fallbacks: member-weeks served by a remembered or the safe plan.
        mid_week_plan_changes: member-weeks whose own plan replaced a fallback.
        vetoed: sends that the guard turned into holds.
        refused_writes: plans that the store refused.
        stale_reads: rows that the store answered with though their age was past its limit.
    """

    returns: Float64
    weekly: dict[str, Float64]
    lucks: int
    fallbacks: int
    mid_week_plan_changes: int
    vetoed: int
    refused_writes: int
    stale_reads: int

    @property
    def sends_per_week(self) -> Float64:
        """Sends per living member-week on each channel, [C]."""
        weeks = max(float(self.weekly["alive"].sum()), 1.0)
        return np.asarray(self.weekly["sends"].sum(axis=(0, 1)) / weeks)


class Twins:
    """Burned-in members, one population per luck, cloned for every agent.

    Args:
        world: the world.
        protocol: who and how long.
        starts: the populations, one per luck, as another one has them; None burns them in.
    """

    def __init__(
        self,
        world: World,
        protocol: EvaluationProtocol | None = None,
        starts: Sequence[Population] | None = None,
    ) -> None:
        self.world, self.protocol = world, protocol or EvaluationProtocol()
        self.starts = starts or [burned_in(world, self.protocol, s) for s in self.protocol.streams]
        self._believed: tuple[World, Sequence[Population]] | None = None
        self.segments: Int64 = segments(self.starts[0])

    def first_luck(self) -> "Twins":
        """Return the same members under the first luck alone: a quick look, with more noise."""
        protocol = replace(self.protocol, streams=self.protocol.streams[:1])
        return Twins(self.world, protocol, self.starts[:1])

    def rollout(
        self,
        planner: BasePlanner,
        executor: Executor | None = None,
        store_factory: StoreFactory = InMemoryFeatureStore,
        progress: str | None = None,
        planned: Callable[[int], bool] | None = None,
    ) -> Rollout:
        """Let a planner and an executor take over the members, one store per luck.

        Args:
            planner: the slow policy.
            executor: the fast policy; None for the default.
            store_factory: makes an empty store.
            progress: name for a progress bar; None for none.
            planned: whether the planner is up in a scored week; None for always. While it is down,
                the executor goes on with what it remembers.
        """
        total = self.protocol.weeks * len(self.starts)
        with progress_bar(total, progress, " weeks") as bar:
            parts = [
                self._live(
                    start.clone(),
                    planner,
                    PlanExchange(self.world, store_factory(), executor),
                    planned or (lambda week: True),
                    bar,
                )
                for start in self._starts_for(planner)
            ]
        return Rollout(
            returns=np.mean([p.returns for p in parts], axis=0),
            weekly={
                name: np.sum([p.weekly[name] for p in parts], axis=0) for name in parts[0].weekly
            },
            lucks=len(parts),
            fallbacks=sum(p.fallbacks for p in parts),
            mid_week_plan_changes=sum(p.mid_week_plan_changes for p in parts),
            vetoed=sum(p.vetoed for p in parts),
            refused_writes=sum(p.refused_writes for p in parts),
            stale_reads=sum(p.stale_reads for p in parts),
        )

    def _starts_for(self, planner: BasePlanner) -> Sequence[Population]:
        """Return the burned-in members, with the beliefs that this planner asks for."""
        wanted = planner.belief_filter
        if wanted is None:
            return self.starts
        if self._believed is None or self._believed[0] != wanted.world:
            p = self.protocol
            starts = [burned_in(self.world, p, s, None, wanted) for s in p.streams]
            self._believed = (wanted.world, starts)
        return self._believed[1]

    def _live(
        self,
        population: Population,
        planner: BasePlanner,
        plan_exchange: PlanExchange,
        planned: Callable[[int], bool],
        bar: "tqdm[Any]",
    ) -> Rollout:
        discount = self.world.reward.weekly_discount
        returns = np.zeros(population.num_members)
        weekly: dict[str, list[Float64]] = {}
        vetoed = 0.0
        previous: Int64 | None = None
        plans = np.zeros(population.num_members, np.int64)
        for number in range(self.protocol.weeks):
            bar.update()
            alive, opted_in = population.alive, population.opted_in
            if planned(number):
                plans = plan_exchange.choose_plans(population, planner)
                plan_exchange.issue(population, plans, planner.policy_version)
            week, _ = plan_exchange.run_week(population)
            returns += discount**number * week.reward
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
                weekly.setdefault(name, []).append(self._by_segment(values))
        counters = plan_exchange.reader.counters
        return Rollout(
            returns=returns,
            weekly={name: np.stack(values) for name, values in weekly.items()},
            lucks=1,
            fallbacks=counters.fallbacks,
            mid_week_plan_changes=counters.mid_week_plan_changes,
            vetoed=int(vetoed),
            refused_writes=plan_exchange.store.counters["refused_writes"],
            stale_reads=plan_exchange.store.counters["stale_reads"],
        )

    def _by_segment(self, values: NDArray[Any]) -> Float64:
        """Return sums of [N] or [N, C] values by segment, [3] or [3, C]."""
        member_of = self.segments[None] == np.arange(len(SEGMENTS))[:, None]  # [3, N]
        return np.asarray(member_of.astype(np.float64) @ values.astype(np.float64))
