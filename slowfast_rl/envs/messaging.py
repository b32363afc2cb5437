"""``slowfast_rl/Messaging-v0``: one step is one send opportunity, one action a candidate."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from slowfast_rl.envs.base import MemberVectorEnv, Step, resolve_world
from slowfast_rl.envs.infos import Info
from slowfast_rl.envs.single import SingleMemberEnv
from slowfast_rl.members.arrays import Float32, Int8, Int64
from slowfast_rl.members.observations import (
    opportunity_features,
    opportunity_observation,
    weekly_features,
)
from slowfast_rl.members.world import World
from slowfast_rl.policies.guard import NO_CAP, action_mask, hold_forbidden, pack_plans
from slowfast_rl.policies.plan_exchange import PlanSource, pack_plan
from slowfast_rl.store import FeatureStore


class MessagingVectorEnv(MemberVectorEnv):
    """Choose, at each send opportunity, which candidate message to send, or to hold.

    ## Description
    The fast half of the two-level messaging problem (Wood et al., "Thinking Fast & Slow for a
    Personalized Notification System", Netflix Tech Blog, 2026). With `plan_source=` a slow policy
    writes weekly plans to a feature store; they arrive through it and show in the observation.

    ## Action Space
    `Discrete(1 + K)`: 0 holds, j sends candidate j. `info["action_mask"]` (int8) and
    `action_masks()` (bool) name what the guard allows: nothing on a channel that the member left,
    nothing beyond the plan's cap. A forbidden send becomes a hold, flagged in `info["vetoed"]`.

    ## Observation Space
    `Box` of the week's logged signals, then those of the opportunity: weekday, channel,
    candidates (quality, launch flag, topic), the plan in force and what is left of it (zeros with
    `has_plan = 0` without a planner). `env.unwrapped.features` names each with unit and bounds.
    `privileged=True` appends the latents.

    ## Rewards
    The slot's part of the utility in viewing days; a week's churn comes with its last slot. For
    the weekly discount .98 use γ = .98^(1 / slots per week).

    ## Starting State
    The first opportunity of week 0 of a member that has not been messaged yet.

    ## Episode End
    Terminated when the member churns (decided at week end), truncated after `weeks` weeks.

    ## Arguments
    * `world="pronounced"`: a world or its name; `menu=None`: other targets per channel.
    * `weeks=104`; `reward="expected"` or "sampled"; `privileged=False`.
    * `plan_source=None`: a `PlanSource(planner, store)`; None plays without plans and caps.
    * `store=None`: without `plan_source`, plans that someone else writes to this store. They are
      read on Monday 00:00; a member without one has a fallback, and from then on the store is read
      at each opportunity, before its observation. An episode's start clears its member's row.
    * `population_seed=0`, `luck_seed=0`, `first_member=0`: who, and with what luck.
    * The vector environment alone: `num_envs=1`; `autoreset=True`, False to reset by hand.

    ## Version History
    * v0: first version.
    """

    def __init__(
        self,
        num_envs: int = 1,
        world: str | World = "pronounced",
        *,
        store: FeatureStore | None = None,
        menu: Mapping[str, Sequence[int]] | None = None,
        plan_source: PlanSource | None = None,
        **episodes: Any,
    ) -> None:
        resolved = resolve_world(world, menu)
        if plan_source is not None and store is not None and plan_source.store is not store:
            raise ValueError("store and plan_source.store differ; give one of them")
        self.plan_source = plan_source
        self.has_plan = plan_source is not None or store is not None
        super().__init__(
            num_envs,
            weekly_features(resolved) + opportunity_features(resolved),
            1 + resolved.num_candidates,
            world=resolved,
            store=store if plan_source is None else plan_source.store,
            belief_filter=None if plan_source is None else plan_source.planner.belief_filter,
            **episodes,
        )
        no_target = np.zeros((num_envs, len(resolved.channels)), np.int32)
        self._rows = pack_plans(no_target, no_target + (0 if self.has_plan else NO_CAP))
        self._unsettled = np.zeros(num_envs, np.bool_)  # rows without a plan of this week so far

    def step(self, actions: Any) -> Step:
        """Live through one send opportunity with one action per member.

        Args:
            actions: [N], 0 holds, j sends candidate j.

        Raises:
            ValueError: wrong shape, dtype or action.
            ResetNeeded: the environment was not reset yet.
            ClosedEnvironmentError: the environment is closed.
        """
        population = self.population
        wanted = self._check_actions(actions)
        vetoed = hold_forbidden(population, self._rows, wanted)
        channel = self.world.schedule[population.slot].channel
        reward, events = population.step(wanted)
        info: Info = {name: flags.view(np.bool_) for name, flags in events._asdict().items()}
        if self.has_plan and info["opted_out"].any():
            self._rows[info["opted_out"], 2 * channel : 2 * channel + 2] = 0  # no longer feasible
        if population.slot and self._unsettled.any():
            self._read_plans(np.flatnonzero(self._unsettled))
        return self._finish(reward, info | {"vetoed": vetoed})

    def _observe(self) -> Float32:
        targets = self._rows[:, 0:-1:2] if self.has_plan else None
        return opportunity_observation(self.population, targets, privileged=self.privileged)

    def _begin_week(self, rows: Int64) -> None:
        """Ask for some rows' plans of the week, write them to the store, read those in force."""
        if not self.has_plan:
            return
        if self.plan_source is not None:
            planner = self.plan_source.planner
            plans = self.plan_exchange.choose_plans(self.population, planner, rows)
            self.plan_exchange.issue(self.population, plans, planner.policy_version, rows)
        alive = self.population.alive[rows]
        self._rows[rows[~alive]] = 0
        self._unsettled[rows] = alive
        self._read_plans(rows[alive])

    def _read_plans(self, living: Int64) -> None:
        """Read the plans in force of some rows whose members did not churn.

        A plan of this week holds until the week ends: later opportunities read no such row again.
        """
        if not living.size:
            return
        plan, settled = self.plan_exchange.read_plans_in_force(self.population, living)
        self._rows[living] = pack_plan(plan)
        self._unsettled[living] = ~settled

    def _mask(self) -> Int8:
        return action_mask(self.population, self._rows)


class MessagingEnv(SingleMemberEnv):
    """One member's send opportunities: a row of the vector environment, without autoreset."""

    vector_type = MessagingVectorEnv
