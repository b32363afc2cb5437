"""The planner as a service: it reads clock and observations, and writes the plans that are due."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from slowfast_rl.members.arrays import Float32, Int64
from slowfast_rl.members.clock import WEEK_SECONDS
from slowfast_rl.members.features import weekly_features
from slowfast_rl.members.loading import world_hash
from slowfast_rl.members.state import put_rows, take_rows
from slowfast_rl.members.world import World
from slowfast_rl.policies.belief_memory import BeliefMemory
from slowfast_rl.policies.contracts import BasePlanner
from slowfast_rl.policies.observation_checks import check_now, weekly_check
from slowfast_rl.policies.plan_exchange import plans_from_observations
from slowfast_rl.services.beliefs_file import read_head, read_parts, write_beliefs
from slowfast_rl.services.served_plans import RegisteredStore
from slowfast_rl.services.store_clock import (
    OBSERVATIONS,
    published_views,
    read_clock_row,
    read_observations,
)
from slowfast_rl.store import (
    PLANS,
    FeatureStore,
    InMemoryFeatureStore,
    PacingPlan,
    Status,
    plan_view,
    read_plans,
    write_plans,
)

COMPACT_MEMBERS = 100_000  # from which on beliefs that are kept are held in the compact form
_CHUNK = 1 << 12  # members that are read and planned for together, which bounds working memory


class Planned(NamedTuple):
    """The plans written at one time."""

    now: int  # simulated seconds
    entity_ids: Int64  # [B] members whose plans were written
    plan: PacingPlan  # [B]
    refused: int  # plans refused by the store, which had a plan of this week
    unseen: int  # members without an observation of this week: churned, or not served
    invalid: int = 0  # members without a plan because their observation is invalid
    fault: str = ""  # one line about the first of them


class PlanningService:
    """Plans for members with an observation of this week in the store and without a plan.

    The store is the only connection to the executor's process. A plan that the store lost is
    written again unchanged if this service wrote it before. The counts of a week in which the
    service did not run are missing from its beliefs, but not from the observations.

    An observation that is not finite or outside its bounds is as good as none: the member gets no
    plan, so that the executor uses the remembered or the safe one, its beliefs stay as they are,
    and it is planned for as soon as a valid observation of it is in the store.

    Args:
        world: the world, for its menu and features.
        planner: the slow policy.
        store: the store to which the executor's process writes observations.
        entity_ids: [N] ids of the members.
        policy_version: the version that is stored with the plans; None for the planner's own.
        keep_beliefs: whether beliefs are kept after a member is planned for; a planner of a single
            week needs them only meanwhile.
        forget_weeks: weeks without an observation after which the beliefs about a member are
            deleted; None for never.

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
        forget_weeks: int | None = None,
        *,
        keep_beliefs: bool = True,
    ) -> None:
        if getattr(planner, "privileged", False):
            raise ValueError(
                "the planner needs latents, which no store has; allowed is a planner without them"
            )
        self.world, self.planner = world, planner
        self._views = [plan_view(len(world.channels)), *published_views(world)]
        self.store: FeatureStore = RegisteredStore(store, self._views)
        self.entity_ids = entity_ids
        self.policy_version = planner.policy_version if policy_version is None else policy_version
        self.forget_weeks, self._keep_beliefs = forget_weeks, keep_beliefs
        self.now: int | None = None  # the time that was read last
        self.service: int | None = None  # the service whose members the beliefs are about
        self._loaded_from: Path | None = None  # a file whose service is not compared yet
        self._check = weekly_check(world)
        self._begin()

    def _begin(self) -> None:
        """Forget everything about all members."""
        self.memory = self._new_memory()
        self._issued, self._issued_week = InMemoryFeatureStore(), -1
        self._planned_at = -1

    def plan_if_due(self) -> Planned | None:
        """Write the plans that are due at the time in the store; None if the time has not changed.

        If another service keeps the clock than before, its members are others, and everything
        about the earlier ones is forgotten.

        Raises:
            StoreUnavailableError: the store cannot be reached; the next call tries again.
            ValueError: the planner does not return one index into the menu per member, or the
                beliefs of :meth:`load_beliefs` are about the members of another service.
        """
        clock = read_clock_row(self.store)
        self.now = None if clock is None else clock.now
        if clock is None:
            return None
        if self.service not in (None, clock.service):
            if self._loaded_from is not None:
                raise ValueError(
                    f"{self._loaded_from} holds beliefs about the members of service "
                    f"{self.service}; the store's clock is kept by service {clock.service}: "
                    "allowed is the file of these members, or none"
                )
            self._begin()
        self.service, self._loaded_from = clock.service, None
        if clock.now == self._planned_at:
            return None
        self.store.apply(self._views)  # another process may have removed one
        planned = self.plan_at(clock.now)
        self._planned_at = clock.now
        return planned

    def plan_at(self, now: int) -> Planned:
        """Write the plans that are due at a time, in simulated seconds.

        Raises:
            StoreUnavailableError: the store cannot be reached; the next call tries again.
            ValueError: the time is beyond the horizon, or the planner does not return one index
                into the menu per member.
        """
        check_now(np.array(now))
        week = now // WEEK_SECONDS
        if week != self._issued_week:  # plans of another week are not written again
            self._issued, self._issued_week = InMemoryFeatureStore(), week
            self._issued.apply([plan_view(len(self.world.channels))])
            if self.memory is not None and self.forget_weeks is not None:
                self.memory.forget_unobserved(week - self.forget_weeks)
        parts: list[tuple[NDArray[Any], ...]] = []
        unseen, invalid, fault = 0, 0, ""
        for first in range(0, max(len(self.entity_ids), 1), _CHUNK):
            ids = self.entity_ids[first : first + _CHUNK]
            seen = read_observations(self.store, ids, now)
            unseen += int((~seen.present).sum())
            ids, observations = ids[seen.present], seen.observations[seen.present]
            valid = self._check.valid(observations)
            if not valid.all():
                invalid += int((~valid).sum())
                fault = fault or self._check.report(observations, ids, valid)
                ids, observations = ids[valid], observations[valid]
            if self.memory is not None:  # also members with a plan, so that no week is missing
                self.memory.take_in(ids, np.full(len(ids), week), observations)
            _, status = read_plans(self.store, ids, now)
            due = status != Status.PRESENT
            parts.append((ids[due], *self._plans(ids[due], observations[due], now)))
            if self.memory is not None and not self._keep_beliefs:
                self.memory.forget(ids)
        ids, *columns = (np.concatenate(column) for column in zip(*parts, strict=True))
        plan = PacingPlan(*columns)
        parts.clear()
        accepted = 0
        for first in range(0, len(ids), _CHUNK):
            some = slice(first, first + _CHUNK)
            accepted += write_plans(self.store, ids[some], take_rows(plan, some), now)
        return Planned(now, ids, plan, ids.size - accepted, unseen, invalid, fault)

    def forget(self, entity_ids: Int64) -> None:
        """Delete the beliefs, observations and plans of members that have left.

        Args:
            entity_ids: [B] member ids; unknown ones may be among them.

        Raises:
            StoreUnavailableError: the store cannot be reached; then only the beliefs are deleted.
        """
        if self.memory is not None:
            self.memory.forget(entity_ids)
        if self._issued_week >= 0:
            self._issued.delete(PLANS, entity_ids)
        for view in (OBSERVATIONS, PLANS):
            self.store.delete(view, entity_ids)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the beliefs as arrays by name, none for a planner without beliefs."""
        return {} if self.memory is None else self.memory.state()

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Replace the beliefs by the :meth:`state` of another service.

        Raises:
            ValueError: the arrays are not beliefs of this planner.
        """
        if self.memory is not None:
            self.memory.restore(arrays)

    def save_beliefs(self, path: Path) -> None:
        """Write the beliefs to a file, with what identifies them."""
        write_beliefs(path, self.memory, self._identity() | {"service": self.service})

    def load_beliefs(self, path: Path) -> None:
        """Replace the beliefs by those of a file that :meth:`save_beliefs` wrote.

        Whether they are about the members of this store is checked when its clock is first read.

        Raises:
            ValueError: the file is damaged, or its beliefs are of another world or other features;
                then nothing is changed.
        """
        head, memory = read_head(path), self._new_memory()
        for name, wanted in self._identity().items():
            if head.get(name) != wanted:
                raise ValueError(
                    f"{path} holds beliefs of another {name}: {str(head.get(name))[:80]}; "
                    f"allowed is {str(wanted)[:80]}"
                )
        service = head.get("service")
        if type(service) not in (int, type(None)):
            raise ValueError(f"{path} is damaged: service is {service!r:.60}; a number is needed")
        for part in read_parts(path):
            if memory is not None:
                try:
                    memory.add(part)
                except ValueError as error:
                    raise ValueError(f"{path}: {error}") from error
        self.memory, self.service, self._loaded_from = memory, service, path

    def _new_memory(self) -> BeliefMemory | None:
        belief_filter = self.planner.belief_filter
        if belief_filter is None:
            return None
        compact = self._keep_beliefs and len(self.entity_ids) >= COMPACT_MEMBERS
        return BeliefMemory(belief_filter, compact=compact)

    def _identity(self) -> dict[str, Any]:
        """Return what tells beliefs of one world from those of another."""
        belief_filter = self.planner.belief_filter
        return {
            "world": world_hash(self.world),
            "belief_world": None if belief_filter is None else world_hash(belief_filter.world),
            "features": [feature.name for feature in weekly_features(self.world)],
        }

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
