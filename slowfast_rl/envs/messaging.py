"""``slowfast_rl/Messaging-v0``: one step is one send opportunity, one action a candidate."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from slowfast_rl.envs.base import Info, MemberVectorEnv, resolve_world
from slowfast_rl.envs.execution import PlanSource, rows_of
from slowfast_rl.envs.guard import NO_CAP, action_mask, plan_rows
from slowfast_rl.envs.single import SingleMemberEnv
from slowfast_rl.members.arrays import Bool, Float32, Float64, Int8, Int32
from slowfast_rl.members.signals import slot_features, slot_signals, week_features
from slowfast_rl.members.world import World
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
    nothing beyond the plan's cap. A forbidden send becomes a hold, counted in
    `info["vetoed"]`.

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
    * `store=None`: read plans that someone else writes to this store, without `plan_source`.
    * `population_seed=0`, `luck_seed=0`, `first_member=0`: who, and with what luck.

    ## Version History
    * v0: first version.
    """

    def __init__(
        self,
        num_envs: int = 1,
        world: str | World = "pronounced",
        weeks: int = 104,
        reward: str = "expected",
        privileged: bool = False,
        store: FeatureStore | None = None,
        menu: Mapping[str, Sequence[int]] | None = None,
        plan_source: PlanSource | None = None,
        population_seed: int = 0,
        luck_seed: int = 0,
        first_member: int = 0,
        autoreset: bool = True,
    ) -> None:
        resolved = resolve_world(world, menu)
        if plan_source is not None and store is not None and plan_source.store is not store:
            raise ValueError("store and plan_source.store differ; give one of them")
        self.plan_source = plan_source
        self.has_plan = plan_source is not None or store is not None
        super().__init__(
            num_envs, week_features(resolved) + slot_features(resolved),
            1 + resolved.num_candidates, resolved, weeks, reward, privileged,
            store if plan_source is None else plan_source.store, None, population_seed, luck_seed,
            first_member, autoreset,
        )  # fmt: skip
        n, c = num_envs, len(resolved.channels)
        no_plan = np.zeros((n, c), np.int32)
        self._no_plan_rows = plan_rows(no_plan, no_plan + NO_CAP)
        self._rows = self._no_plan_rows

    def step(self, actions: Any) -> tuple[Float32, Float64, Bool, Bool, Info]:
        """Live through one send opportunity with one action per member.

        Args:
            actions: [N], 0 holds, j sends candidate j.

        Raises:
            ValueError: wrong shape, dtype or action.
            ClosedEnvironmentError: the environment is closed.
        """
        wanted = self._check_actions(actions)
        allowed = action_mask(self.population, self._rows)[:, 1] > 0
        vetoed = (wanted > 0) & ~allowed
        reward, events = self.population.step(np.where(vetoed, 0, wanted))
        info: Info = {name: flags.view(bool) for name, flags in events._asdict().items()}
        info["vetoed"] = vetoed
        info |= {f"_{key}": np.ones(self.num_envs, bool) for key in info}
        observations, terminated, truncated, info = self._finish(info)
        return observations, reward, terminated, truncated, info

    def _signals(self) -> Float32:
        """Ask for plans when a week begins, read those in force, and return what shows."""
        population = self.population
        if not self.has_plan:
            self._rows = self._no_plan_rows
            return slot_signals(population)
        if population.slot == 0 and self.plan_source is not None:
            planner = self.plan_source.planner
            plans = self.execution.ask(population, planner)
            self.execution.issue(population, plans, planner.policy_version)
        plan = self.execution.in_force(population)
        self._rows: Int32 = rows_of(plan)
        return slot_signals(population, plan.target)

    def _mask(self) -> Int8:
        return action_mask(self.population, self._rows)


class MessagingEnv(SingleMemberEnv):
    __doc__ = MessagingVectorEnv.__doc__

    vector_type = MessagingVectorEnv
