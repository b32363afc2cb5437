"""The planner's side on its own: it reads clock and features, and writes the plans that are due."""

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
    """What a look at the clock led to."""

    now: int  # simulated seconds
    entity_ids: Int64  # [B] members whose plans were written
    plan: PacingPlan  # [B]
    refused: int  # plans that the store refused, as there was one of this week
    unseen: int  # members without features of this week: churned, or not served


class PlanningService:
    """Plans for members whose logged features of this week are in the store, and who have no plan.

    It knows of the executor's process only what is in the store. A plan that the store lost is
    written again as it was, as long as this service remembers it. A week's counts that the service
    does not see, because it was down, are missing from its beliefs, not from the features.

    Args:
        world: the world, for menu and features.
        planner: the slow policy.
        store: the only way to the executor's side.
        entity_ids: [N] whom to plan for.
        policy_version: goes with the plans; None for the planner's own.

    Raises:
        ValueError: the planner wants to see latents, which no store holds.
        StoreUnavailableError: the store needs to be reached for its views, and cannot be.
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
            raise ValueError("the planner wants to see latents; allowed: one that sees features")
        self.world, self.planner, self.store = world, planner, store
        self.entity_ids = entity_ids
        self.policy_version = planner.policy_version if policy_version is None else policy_version
        plans = plan_view(len(world.channels))
        self.store.apply([plans, *published_views(world)])
        self._issued = InMemoryFeatureStore()
        self._issued.apply([plans])
        belief_filter = planner.belief_filter
        self.memory = None if belief_filter is None else BeliefMemory(belief_filter)
        self.now: int | None = None  # the clock as last seen
        self._looked_at = -1

    def plan_if_due(self) -> Planned | None:
        """Write the plans that are due by the clock in the store; None if it has not moved.

        Raises:
            StoreUnavailableError: the store cannot be reached; the next look tries again.
            ValueError: the planner's answer is not one index into the menu per member.
        """
        self.now = read_clock(self.store)
        if self.now is None or self.now == self._looked_at:
            return None
        planned = self.plan_at(self.now)
        self._looked_at = self.now
        return planned

    def plan_at(self, now: int) -> Planned:
        """Write the plans that are due at a time, in simulated seconds.

        Raises:
            StoreUnavailableError: the store cannot be reached; the next call tries again.
            ValueError: the planner's answer is not one index into the menu per member.
        """
        week = now // WEEK_SECONDS
        seen = read_observations(self.store, self.entity_ids, now)
        ids, observations = self.entity_ids[seen.there], seen.observations[seen.there]
        if self.memory is not None:  # of everyone, planned for or not: no week may be lost
            self.memory.take_in(ids, np.full(len(ids), week), observations)
        _, status = read_plans(self.store, ids, now)
        due = status != Status.PRESENT
        ids, observations = ids[due], observations[due]
        plan = self._plans(ids, observations, now)
        accepted = write_plans(self.store, ids, plan, now) if ids.size else 0
        unseen = int((~seen.there).sum())
        return Planned(now, ids, plan, ids.size - accepted, unseen)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return what is believed, as arrays; empty for a planner without beliefs."""
        return {} if self.memory is None else self.memory.state()

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Go on believing what another service believed.

        Raises:
            ValueError: the arrays are not of this planner's beliefs.
        """
        if self.memory is not None:
            self.memory.restore(arrays)

    def _plans(self, ids: Int64, observations: Float32, now: int) -> PacingPlan:
        """Return this week's plans: those issued before, else the planner's choice."""
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
