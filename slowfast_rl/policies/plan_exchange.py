"""Plan exchange through the store: a planner writes plans, and an executor reads and executes them.

In evaluation and serving, all plans go through the store. In training, simulated branches pass
plans as arrays to the same executor.
"""

from typing import NamedTuple

import numpy as np

from slowfast_rl.members.arrays import Bool, Float32, Int32, Int64
from slowfast_rl.members.observations import privileged_observation, weekly_observation
from slowfast_rl.members.population import Population
from slowfast_rl.members.state import Week, put_rows
from slowfast_rl.members.world import World
from slowfast_rl.policies.belief_memory import BeliefMemory
from slowfast_rl.policies.columns import opted_in_columns
from slowfast_rl.policies.contracts import BasePlanner, Executor, PlanRequest
from slowfast_rl.policies.executor import default_executor
from slowfast_rl.policies.guard import feasible_plans, feasible_target, pack_plans
from slowfast_rl.policies.plan_reader import PlanReader, Reading
from slowfast_rl.store import (
    FeatureStore,
    InMemoryFeatureStore,
    PacingPlan,
    StoreUnavailableError,
    pacing_plan,
    write_plans,
)


class PlanSource(NamedTuple):
    """A slow policy and the store to which it writes."""

    planner: BasePlanner
    store: FeatureStore


class PlanExchange:
    """Store, reader and executor of one population under one luck.

    Args:
        world: the world.
        store: a store that nobody else uses; None creates one in memory.
        executor: the fast policy; None for the default.

    Raises:
        ValueError: ``executor`` is no executor, or the class of one.
    """

    def __init__(
        self, world: World, store: FeatureStore | None = None, executor: Executor | None = None
    ) -> None:
        self.world = world
        self.store = InMemoryFeatureStore() if store is None else store
        self.executor = default_executor() if executor is None else executor
        if isinstance(executor, type) or not callable(getattr(self.executor, "run_week", None)):
            raise ValueError(f"executor is {executor!r}; allowed is an executor, or None")
        self.reader = PlanReader(world, self.store)
        self._plans, self._shapes = world.plans, world.plan_shapes

    def issue(
        self,
        population: Population,
        plans: Int64,
        policy_version: int = 0,
        rows: Int64 | None = None,
    ) -> None:
        """Write this week's plans of living members; they are lost if the store cannot be reached.

        Args:
            population: N members at the beginning of a week.
            plans: [N] indices into the world's menu.
            policy_version: the version of the policy that chose the plans.
            rows: indices of the members whose plans are written; None for all.
        """
        living = _living(population, rows)
        if not living.size:
            return
        target = self._plans[plans[living]]
        plan = PacingPlan(
            target=target,
            cap=target,
            shape=self._shapes[plans[living]],
            week=population.weeks[living].astype(np.int64),
            policy_version=np.full(living.size, policy_version, np.int64),
        )
        self.reader.flush_pending_deletes()
        try:
            write_plans(self.store, population.members[living], plan, population.now[living])
        except StoreUnavailableError:
            return  # the reader uses a fallback and counts it

    def plans_in_force(self, population: Population) -> PacingPlan:
        """Return the plans in force of all N members.

        Targets are 0 on channels that the member has left, and for churned members.
        """
        living, n = _living(population, None), population.num_members
        if living.size == n:
            return self.read_plans_in_force(population, living).plan
        none = np.zeros((n, len(self.world.channels)), np.int32)
        plan = pacing_plan(none, population.weeks)
        put_rows(plan, living, self.read_plans_in_force(population, living).plan)
        return plan

    def read_plans_in_force(
        self, population: Population, living: Int64, now: Int64 | None = None
    ) -> Reading:
        """Return the plans in force, with target 0 on channels that the member has left.

        Args:
            population: N members.
            living: indices of B members that did not churn.
            now: [B] simulated seconds; None for the population's time.
        """
        times = population.now[living] if now is None else now
        plan, settled = self.reader.read_plans_in_force(population.members[living], times)
        opted_in = population.opted_in[living]
        feasible = plan._replace(
            target=feasible_target(plan.target, opted_in), cap=feasible_target(plan.cap, opted_in)
        )
        return Reading(feasible, settled)

    def run_week(self, population: Population) -> tuple[Week, PacingPlan]:
        """Simulate the week under the plans that are in force on Monday.

        A plan that arrives later in the week is not used.
        """
        plan = self.plans_in_force(population)
        return self.executor.run_week(population, plan.target, plan.cap, plan.shape), plan

    def forget(self, entity_ids: Int64) -> None:
        """Delete the stored and remembered plans of members that start an episode."""
        self.reader.forget(entity_ids)


def plans_of_planner(
    population: Population, planner: BasePlanner, rows: Int64 | None = None
) -> Int64:
    """Return the planner's choice for every member, [N]; 0 for churned members.

    Args:
        population: N members at the beginning of a week.
        planner: the planner.
        rows: indices of the members to plan for, None for all; the choice of other members is 0.

    Raises:
        ValueError: the planner does not return one index into the menu per requested member.
    """
    living = _living(population, rows)
    plans = np.zeros(population.num_members, np.int64)
    if living.size:
        plans[living] = choose_plans(planner, plan_request(population, living, planner))
    return plans


def choose_plans(planner: BasePlanner, asked: PlanRequest) -> Int64:
    """Return the plans that a planner chooses, [B]; for nobody it is not asked.

    Raises:
        ValueError: the planner does not return one index into the menu per requested member.
    """
    if not len(asked.entity_ids):
        return np.zeros(0, np.int64)
    answer, (count, num_plans) = np.asarray(planner.plan(asked)), asked.feasible.shape
    if answer.dtype.kind not in "iu" or answer.shape != (count,):
        raise ValueError(
            f"the planner answered with {answer.dtype} of shape {answer.shape};"
            f" allowed are integers of shape ({count},)"
        )
    low, high = answer.min(), answer.max()
    if low < 0 or high >= num_plans:
        raise ValueError(
            f"the planner's plans span {low} to {high}; allowed is 0 to {num_plans - 1}"
        )
    return answer.astype(np.int64)


def plan_request(
    population: Population, rows: Int64 | Bool | None = None, planner: BasePlanner | None = None
) -> PlanRequest:
    """Return the request for the plans of some members at the present time.

    Args:
        population: N members.
        rows: indices of B members, or a mask [N]; None for all.
        planner: the planner that gets the request; None for one without beliefs and latents.

    Raises:
        ValueError: the planner needs beliefs, and the population has no belief filter.
    """
    chosen = slice(None) if rows is None else rows
    opted_in = population.opted_in[chosen]
    beliefs = latents = None
    if planner is not None and planner.belief_filter is not None:
        if population.beliefs is None:
            raise ValueError(
                "the planner needs beliefs; the population keeps none: make it with "
                "belief_filter=planner.belief_filter"
            )
        beliefs = population.beliefs.observations()[chosen]
    if planner is not None and planner.privileged:
        latents = privileged_observation(population)[chosen]
    return PlanRequest(
        observations=weekly_observation(population)[chosen],
        feasible=feasible_plans(population.world.plans, opted_in),
        entity_ids=population.members[chosen],
        weeks=population.weeks[chosen].astype(np.int64),
        beliefs=beliefs,
        latents=latents,
    )


def plans_from_observations(
    world: World,
    planner: BasePlanner,
    memory: BeliefMemory | None,
    entity_ids: Int64,
    weeks: Int64,
    observations: Float32,
    policy_version: int,
) -> PacingPlan:
    """Return the planner's choices for B members from their weekly observations.

    Args:
        world: the world, for the menu.
        planner: the slow policy.
        memory: beliefs, updated with these observations; None for a planner without beliefs.
        entity_ids: [B] member ids.
        weeks: [B] the week of each member.
        observations: [B, F_week].
        policy_version: the version of the policy that chose the plans.

    Raises:
        ValueError: the planner does not return one index into the menu per member.
    """
    opted_in = observations[:, opted_in_columns(world)] > 0.5
    feasible = feasible_plans(world.plans, opted_in)
    believed = None if memory is None else memory.belief_observation(entity_ids)
    chosen = choose_plans(planner, PlanRequest(observations, feasible, entity_ids, weeks, believed))
    return pacing_plan(
        world.plans[chosen],
        weeks,
        shape=world.plan_shapes[chosen],
        policy_version=policy_version,
    )


def pack_plan(plan: PacingPlan) -> Int32:
    """Return plans as an array for the guard and the drivers, [N, 2 C + 1]."""
    return pack_plans(plan.target, plan.cap, plan.shape)


def _living(population: Population, rows: Int64 | None) -> Int64:
    """Return the indices of living members among the rows; None for all rows."""
    alive = population.alive
    return np.flatnonzero(alive) if rows is None else rows[alive[rows]]
