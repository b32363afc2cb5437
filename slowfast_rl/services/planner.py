"""The planner as a service: it reads clock and observations, and writes the plans that are due."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from slowfast_rl.members.arrays import Float32, Int64
from slowfast_rl.members.clock import WEEK_SECONDS
from slowfast_rl.members.state import put_rows
from slowfast_rl.members.world import World
from slowfast_rl.policies.belief_memory import BeliefMemory
from slowfast_rl.policies.contracts import BasePlanner
from slowfast_rl.policies.plan_exchange import plans_from_observations
from slowfast_rl.services.store_clock import published_views, read_clock, read_observations
from slowfast_rl.store import (
    FeatureStore,
    InMemoryFeatureStore,
    PacingPlan,
    Status,
    plan_view,
    read_plans,
    write_plans,
)


class Planned(NamedTuple):
    """The plans written at one time."""

    now: int  # simulated seconds
    entity_ids: Int64  # [B] members whose plans were written
    plan: PacingPlan  # [B]
    refused: int  # plans refused by the store, which had a plan of this week
    unseen: int  # members without an observation of this week: churned, or not served


class PlanningService:
    """Plans for members with an observation of this week in the store and without a plan.

    The store is the only connection to the executor's process. A plan that the store lost is
    written again unchanged if this service wrote it before. The counts of a week in which the
    service did not run are missing from its beliefs, but not from the observations.

    Args:
        world: the world, for its menu and features.
        planner: the slow policy.
        store: the store to which the executor's process writes observations.
        entity_ids: [N] ids of the members.
        policy_version: the version that is stored with the plans; None for the planner's own.

    Raises:
        ValueError: the planner needs latents, which the store does not have.
        StoreUnavailableError: the store cannot be reached.
    """

    def __init__(
        self,
        world: World,
        planner: BasePlanner,
        store: FeatureStore,
        entity_ids: Int64,
        policy_version: int | None = None,
    ) -> None:
        if getattr(planner, "privileged", False):
            raise ValueError(
                "the planner needs latents, which no store has; allowed is a planner without them"
            )
        self.world, self.planner, self.store = world, planner, store
        self.entity_ids = entity_ids
        self.policy_version = planner.policy_version if policy_version is None else policy_version
        plans = plan_view(len(world.channels))
        self.store.apply([plans, *published_views(world)])
        self._issued = InMemoryFeatureStore()
        self._issued.apply([plans])
        belief_filter = planner.belief_filter
        self.memory = None if belief_filter is None else BeliefMemory(belief_filter)
        self.now: int | None = None  # the time that was read last
        self._planned_at = -1

    def plan_if_due(self) -> Planned | None:
        """Write the plans that are due at the time in the store; None if the time has not changed.

        Raises:
            StoreUnavailableError: the store cannot be reached; the next call tries again.
            ValueError: the planner does not return one index into the menu per member.
        """
        self.now = read_clock(self.store)
        if self.now is None or self.now == self._planned_at:
            return None
        planned = self.plan_at(self.now)
        self._planned_at = self.now
        return planned

    def plan_at(self, now: int) -> Planned:
        """Write the plans that are due at a time, in simulated seconds.

        Raises:
            StoreUnavailableError: the store cannot be reached; the next call tries again.
            ValueError: the planner does not return one index into the menu per member.
        """
        week = now // WEEK_SECONDS
        seen = read_observations(self.store, self.entity_ids, now)
        ids, observations = self.entity_ids[seen.present], seen.observations[seen.present]
        if self.memory is not None:  # also members with a plan, so that no week is missing
            self.memory.take_in(ids, np.full(len(ids), week), observations)
        _, status = read_plans(self.store, ids, now)
        due = status != Status.PRESENT
        ids, observations = ids[due], observations[due]
        plan = self._plans(ids, observations, now)
        accepted = write_plans(self.store, ids, plan, now) if ids.size else 0
        unseen = int((~seen.present).sum())
        return Planned(now, ids, plan, ids.size - accepted, unseen)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the beliefs as arrays by name, none for a planner without beliefs."""
        return {} if self.memory is None else self.memory.state()

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Replace the beliefs by the :meth:`state` of another service.

        Raises:
            ValueError: the arrays are not beliefs of this planner.
        """
        if self.memory is not None:
            self.memory.restore(arrays)

    def _plans(self, ids: Int64, observations: Float32, now: int) -> PacingPlan:
        """Return this week's plans: those written before, else the planner's choices."""
        issued, status = read_plans(self._issued, ids, now)
        new = status != Status.PRESENT
        if new.any():
            weeks = np.full(int(new.sum()), now // WEEK_SECONDS)
            chosen = plans_from_observations(
                self.world, self.planner, self.memory, ids[new], weeks, observations[new],
                self.policy_version,
            )  # fmt: skip
            write_plans(self._issued, ids[new], chosen, now)
            put_rows(issued, new, chosen)
        return issued
