"""``slowfast_rl/Pacing-v0``: one step is one week, one action is a pacing plan."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from slowfast_rl.envs.base import MemberVectorEnv, Step, resolve_world
from slowfast_rl.envs.infos import Info
from slowfast_rl.envs.single import SingleMemberEnv
from slowfast_rl.members.arrays import Float32, Int8
from slowfast_rl.members.beliefs import BeliefFilter
from slowfast_rl.members.observations import (
    privileged_observation,
    weekly_features,
    weekly_observation,
)
from slowfast_rl.members.world import World
from slowfast_rl.policies.contracts import Executor
from slowfast_rl.policies.guard import feasible_plans
from slowfast_rl.store import FeatureStore


class PacingVectorEnv(MemberVectorEnv):
    """Choose each member's weekly pacing plan; a fast policy executes it.

    ## Description
    The slow half of the two-level messaging problem (Wood et al., "Thinking Fast & Slow for a
    Personalized Notification System", Netflix Tech Blog, 2026), as a semi-Markov decision process
    whose options all last one week (Sutton, Precup & Singh 1999). Each plan travels through the
    feature store to the executor, which reads it on Monday: one that a faulty store delivers later
    in the week is not seen in it, and a remembered or the safe plan is executed instead.

    ## Action Space
    `Discrete(O)`: an index into `world.plans`, the product of the menu's weekly targets, and into
    `world.plan_shapes`, where the world offers pacing shapes besides the uniform one. A plan
    with a target on a channel that the member left is executed with 0 there;
    `info["action_mask"]` (int8) and `action_masks()` (bool) name the plans that are feasible.

    ## Observation Space
    `Box` of the week's logged signals; `env.unwrapped.features` names each with unit and bounds.
    `beliefs=True` appends what a belief filter with the world's parameters makes of the log;
    `privileged=True` appends the latents.

    ## Rewards
    The week's utility in viewing days: views and causal opens by expectation
    (`reward="sampled"`: as drawn) minus message cost, opt-out and churn penalties.
    Discount by `world.reward.weekly_discount` (.98).

    ## Starting State
    Monday of week 0, a member of the population seed that has not been messaged yet.

    ## Episode End
    Terminated when the member churns, truncated after `weeks` weeks.

    ## Arguments
    * `world="pronounced"`: a world or its name; `menu=None`: other targets per channel.
    * `weeks=104`; `reward="expected"`; `beliefs=False`; `privileged=False`.
    * `store=None`: a feature store of its own; None makes one in memory.
    * `executor=None`: the fast policy; None for exact pacer and quality ranker.
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
        executor: Executor | None = None,
        beliefs: bool = False,
        **episodes: Any,
    ) -> None:
        resolved = resolve_world(world, menu)
        belief_filter = BeliefFilter(resolved) if beliefs else None
        self._plans = resolved.plans
        super().__init__(
            num_envs,
            weekly_features(resolved) + (belief_filter.features if belief_filter else ()),
            len(self._plans),
            world=resolved,
            store=store,
            executor=executor,
            belief_filter=belief_filter,
            **episodes,
        )

    def step(self, actions: Any) -> Step:
        """Live through one week under one plan per member.

        Args:
            actions: [N] indices into the menu.

        Raises:
            ValueError: wrong shape, dtype or index.
            ResetNeeded: the environment was not reset yet.
            ClosedEnvironmentError: the environment is closed.
        """
        plans = self._check_actions(actions)
        self.plan_exchange.issue(self.population, plans)
        week, _ = self.plan_exchange.run_week(self.population)
        info: Info = {
            "sends": week.sends.sum(axis=1),
            "viewing_days": week.viewing_days,
            "opt_outs": week.opt_outs.sum(axis=1),
            "vetoed": week.vetoed,
        }
        return self._finish(week.reward, info)

    def _observe(self) -> Float32:
        parts = [weekly_observation(self.population)]
        if self.population.beliefs is not None:
            parts.append(self.population.beliefs.observations())
        if self.privileged:
            parts.append(privileged_observation(self.population))
        return np.concatenate(parts, axis=1)

    def _mask(self) -> Int8:
        return feasible_plans(self._plans, self.population.opted_in).astype(np.int8)


class PacingEnv(SingleMemberEnv):
    """One member's weeks: a row of the vector environment, without autoreset."""

    vector_type = PacingVectorEnv
