"""A week through the store: the slow side writes plans, the fast side reads them and executes.

The only way a plan reaches a scored or served run. Learners' branches skip it and hand plans as
arrays to the same executor.
"""

from typing import NamedTuple, Protocol

import numpy as np

from slowfast_rl.envs.executor import Executor, default_executor
from slowfast_rl.envs.guard import feasible_plans, feasible_target, plan_rows
from slowfast_rl.envs.reader import PlanReader
from slowfast_rl.members.arrays import Bool, Float32, Int32, Int64
from slowfast_rl.members.population import Population, Week
from slowfast_rl.members.signals import week_signals
from slowfast_rl.members.world import World
from slowfast_rl.store import (
    FeatureStore,
    InMemoryFeatureStore,
    PacingPlan,
    StoreUnavailable,
    pacing_plan,
    plan_view,
    write_plans,
)


class Request(NamedTuple):
    """What a planner is asked: one row for each of B members whose week begins."""

    signals: Float32  # [B, F_week] logged signals
    feasible: Bool  # [B, O] plans that leave alone every channel the member has left
    entity_ids: Int64  # [B] member ids
    weeks: Int64  # [B] week that begins


class Planner(Protocol):
    """The slow policy as the environments see it."""

    policy_version: int

    def plan(self, request: Request) -> Int64:
        """Return the chosen plan's index in the world's menu, [B]."""
        ...


class PlanSource(NamedTuple):
    """A slow policy and the store it writes to."""

    planner: Planner
    store: FeatureStore


class Execution:
    """Store, reader and executor of one population under one luck.

    Args:
        world: the world.
        store: a store of its own; None makes one in memory.
        executor: the fast policy; None for exact pacer and quality ranker.
    """

    def __init__(
        self, world: World, store: FeatureStore | None = None, executor: Executor | None = None
    ) -> None:
        self.world = world
        self.store = InMemoryFeatureStore() if store is None else store
        self.store.apply([plan_view(len(world.channels))])
        self.executor = default_executor() if executor is None else executor
        self.reader = PlanReader(world, self.store)
        self._plans = world.plans

    def issue(self, population: Population, plans: Int64, policy_version: int = 0) -> None:
        """Write this week's plans of the living to the store; a store out of reach loses them.

        Args:
            population: N members at the beginning of a week.
            plans: [N] indices into the world's menu.
            policy_version: goes with the plans.
        """
        alive = population.alive
        now = population.now[alive]
        target = self._plans[plans[alive]]
        plan = pacing_plan(
            target, population.weeks[alive].astype(np.int64), policy_version=policy_version
        )
        try:
            write_plans(self.store, population.members[alive], plan, now)
        except StoreUnavailable:
            return  # the reader counts the fallback

    def ask(self, population: Population, planner: Planner) -> Int64:
        """Return the planner's choice for every member, [N]; 0 for the churned."""
        alive = population.alive
        plans = np.zeros(population.num_members, np.int64)
        if alive.any():
            plans[alive] = planner.plan(request(population, alive))
        return plans

    def in_force(self, population: Population) -> PacingPlan:
        """Return the plans in force for all N members, 0 on channels they left; churned: all 0."""
        alive = population.alive
        n, c = population.num_members, len(self.world.channels)
        plan = pacing_plan(np.zeros((n, c), np.int32), population.weeks.astype(np.int64))
        if alive.any():
            read = self.reader.read(population.members[alive], population.now[alive])
            for full, part in zip(plan, read, strict=True):
                full[alive] = part
        opted_in = population.opted_in
        return plan._replace(
            target=feasible_target(plan.target, opted_in), cap=feasible_target(plan.cap, opted_in)
        )

    def run_week(self, population: Population) -> tuple[Week, PacingPlan]:
        """Live through the week under the plans that the store holds, or their fallback."""
        plan = self.in_force(population)
        return self.executor.run_week(population, plan.target, plan.cap), plan

    def forget(self, entity_ids: Int64) -> None:
        """Clear what is stored and remembered of members that start an episode."""
        self.reader.forget(entity_ids)


def request(population: Population, rows: Bool | None = None) -> Request:
    """Return what a planner sees of some members now."""
    chosen = np.ones(population.num_members, bool) if rows is None else rows
    return Request(
        signals=week_signals(population)[chosen],
        feasible=feasible_plans(population.world.plans, population.opted_in[chosen]),
        entity_ids=population.members[chosen],
        weeks=population.weeks[chosen].astype(np.int64),
    )


def rows_of(plan: PacingPlan) -> Int32:
    """Return plans as the guard and the drivers take them, [N, 2 C + 1]."""
    return plan_rows(plan.target, plan.cap, plan.shape)
