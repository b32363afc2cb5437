"""A planner and an executor at work on observations, with the feature store between them."""

from contextlib import suppress
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from slowfast_rl.agents.base import whole_numbers
from slowfast_rl.fast.decide import decide
from slowfast_rl.members.arrays import Bool, Float32, Int64
from slowfast_rl.members.clock import WEEK_SECONDS
from slowfast_rl.members.observations import weekly_features
from slowfast_rl.members.world import World
from slowfast_rl.policies.belief_memory import BeliefMemory
from slowfast_rl.policies.columns import columns
from slowfast_rl.policies.contracts import BaseExecutor, BasePlanner
from slowfast_rl.policies.observation_checks import check_now, opportunity_check
from slowfast_rl.policies.plan_exchange import plans_from_observations
from slowfast_rl.policies.plan_reader import PlanReader
from slowfast_rl.store import (
    FeatureStore,
    StoreUnavailableError,
    write_plans,
)
from slowfast_rl.store.checks import check_distinct, check_ids


class OnlinePredictor:
    """Answers opportunities: plans through the store where one is due, then picks messages.

    Args:
        world: the world, for the layout of observations.
        slow: the planner.
        fast: the executor.
        store: the channel between them, for one population under one luck.
        seed: of the pacer's coins.
    """

    def __init__(
        self, world: World, slow: BasePlanner, fast: BaseExecutor, store: FeatureStore, seed: int
    ) -> None:
        self.world, self.slow, self.fast, self.store, self.seed = world, slow, fast, store, seed
        self.reader = PlanReader(world, store)
        belief_filter = slow.belief_filter
        self.memory = None if belief_filter is None else BeliefMemory(belief_filter)

    def choose(
        self, obs: Float32, entity_ids: ArrayLike, now: ArrayLike, begins: ArrayLike | None = None
    ) -> Int64:
        """Return actions [B], 0 holds.

        Args:
            obs: [B, F] observations of ``Messaging-v0``.
            entity_ids: [B] member ids, no id twice.
            now: simulated seconds, one or [B].
            begins: [B] true where an episode begins: what is known of them is forgotten.

        Raises:
            ValueError: an argument of another shape or type, an id that comes twice, a time beyond
                the horizon, or an observation that is not finite and within its bounds. Then
                nothing has changed: the caller can leave out the members that the message names.
        """
        obs = np.asarray(obs)
        if obs.dtype != np.float32:
            with np.errstate(over="ignore"):  # what is too large for float32 is outside all bounds
                obs = obs.astype(np.float32)
        width = len(columns(self.world))
        if obs.ndim != 2 or obs.shape[1] != width:
            raise ValueError(f"obs has shape {obs.shape}; allowed is (B, {width})")
        batch = (len(obs),)
        ids = whole_numbers("entity_ids", entity_ids, [batch])
        check_distinct(check_ids(ids))
        times = whole_numbers("now", now, [batch, ()])
        if times.shape != batch:
            times = times.repeat(len(obs))
        check_now(times)
        opportunity_check(self.world).check(obs, ids)
        if begins is not None:
            first = np.asarray(begins, np.bool_)
            if first.shape != batch:
                raise ValueError(f"episode_start has shape {first.shape}; allowed is {batch}")
            self.forget(ids[first])
        weekly = obs[:, : len(weekly_features(self.world))]
        if self.memory is not None:  # of everyone, planned for or not: no week may be lost
            self.memory.take_in(ids, times // WEEK_SECONDS, weekly)
        self.reader.flush_pending_deletes()  # rows of an earlier episode must not pass for plans
        write_missing = partial(self._plan, weekly, ids, times)
        where = self.world, self.fast, self.reader
        return decide(*where, obs, ids, times, self.seed, write_missing)[1].actions

    def forget(self, entity_ids: Int64) -> None:
        """Delete the stored and remembered plans of members and the beliefs about them.

        Args:
            entity_ids: [B] ids of members that begin an episode or have left; unknown ones may be
                among them.
        """
        self.reader.forget(entity_ids)
        if self.memory is not None:
            self.memory.forget(entity_ids)

    def _plan(self, observations: Float32, ids: Int64, times: Int64, need: Bool) -> None:
        """Write plans for the members of whom ``need`` is true, [B]."""
        plan = plans_from_observations(
            self.world, self.slow, self.memory, ids[need], times[need] // WEEK_SECONDS,
            observations[need], self.slow.policy_version,
        )  # fmt: skip
        with suppress(StoreUnavailableError):  # the reader falls back, and counts it
            write_plans(self.store, ids[need], plan, times[need])
