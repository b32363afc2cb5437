"""``slowfast_rl/Pacing-v0``: one step is one week, an action selects a pacing plan."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from slowfast_rl.envs.base import MemberVectorEnv, Step, resolve_world
from slowfast_rl.envs.documentation import document_observations
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
from slowfast_rl.policies.plan_exchange import PlanExchange
from slowfast_rl.store import FeatureStore


@document_observations(weekly_features)
class PacingVectorEnv(MemberVectorEnv):
    """Choose each member's pacing plan for the week; a fast policy executes it.

    ## Description

    A streaming service sends messages to its members on several channels. A message may cause a
    member to watch, and it costs attention: fatigue grows with every send and decays within weeks,
    unopened messages wear down the member's goodwill, and an annoyed member leaves the channel. On
    each Monday the agent chooses how many messages a member is to receive in the week on each
    channel. An executor, the fast policy, decides at each send opportunity what to send, if any.

    This is the slow level of the two-level system of Wood et al. (2026), as a semi-Markov decision
    process whose options last one week each (Sutton, Precup and Singh, 1999). A plan reaches the
    executor through a feature store, which the executor reads on Monday. Where the plan cannot be
    read then, the executor uses the last plan that it remembers, or the world's safe plan.

    ## Action Space

    The action space is `Discrete(O)`; O is 63 in the world `pronounced`. An action is an index into
    `world.plans`, which holds every combination of the menu's weekly targets per channel. If the
    world has pacing shapes besides the uniform one, `world.plan_shapes` holds the shape of each.

    `info["action_mask"]` (int8) and `action_masks()` (bool) tell which plans are feasible: those
    without a target on any channel that the member has left. Where another plan is chosen, its
    targets on such channels are set to 0.

    ## Observation Space

    The observation space is a `Box` of float32. In the world `pronounced` its columns are:

    {observation_table}

    - Names in braces stand for one column each, in the order of the numbers.
    - The week has just begun, so the columns `this_week` are 0.
    - `mean_4_weeks` and `mean_20_weeks` are exponentially weighted means over completed weeks; the
      newest week has the weight 1/4 or 1/20.
    - `light` and `heavy` distinguish sends by the week before them: it is light if the member
      received at most 4 messages in it, over all channels.

    With `beliefs=True`, the columns of `BeliefFilter(world).features` follow: the estimates that a
    Bayesian filter with the world's parameters derives from the member's log. With
    `privileged=True`, columns that no company observes follow (the numbers are those without
    beliefs):

    {privileged_table}

    In other worlds the channels and topics may differ. `env.unwrapped.features` lists the name,
    unit and bounds of every column.

    ## Rewards

    The reward is the week's utility, in viewing days. The weights are those of `world.reward`; in
    the world `pronounced` they are:

    - +1 for each viewing day
    - +0.05 for each causal open, an open that the message itself brought about
    - -0.015 for each send
    - -5 for each opt-out from a channel
    - -5 for churn

    With `reward="expected"`, viewing days and causal opens count by their expected values given the
    member's state, which has less noise and the same mean; with `reward="sampled"`, they count as
    drawn. Opt-outs and churn always count as drawn. Discount the rewards by
    `world.reward.weekly_discount`, which is 0.98.

    ## Starting State

    An episode begins on Monday of week 0 with a member that has not received any message.
    `reset(seed=s)` draws two numbers and begins episode 0: the luck seed, which determines
    everything that is drawn over time, and the first member. `s` is any integer of 0 or more; the
    same seed gives the same episodes. The first `reset()` without a seed draws both numbers from
    fresh entropy; every later one begins the next episode, with another member. In the vector
    environment, row i simulates the member `first_member + i + e * num_envs` in episode e. A
    `luck_seed` or `first_member` that was given to the constructor holds, whatever the seed; see
    `docs/seeds.md`.

    ## Episode End

    1. Termination: the member churns. This is decided at the end of each week.
    2. Truncation: the episode has lasted `weeks` weeks, or `max_episode_steps` steps.

    In the vector environment, `autoreset_mode` is one of Gymnasium's modes. With `SAME_STEP`, a row
    whose episode ended shows the next episode at once, and `final_obs` and `final_info` hold what
    the ended one showed. With `NEXT_STEP`, its next step begins the episode: the action is ignored
    and the reward is 0. With `DISABLED`, `reset(options={"reset_mask": mask})` begins it.

    ## Arguments

    | Parameter | Type | Default | Description |
    |---|---|---|---|
    | `world` | **World** or **str** | `"pronounced"` | The world, or its name or file. |
    | `menu` | **dict** | `None` | Weekly targets by channel, instead of the world's. |
    | `weeks` | **int** | `104` | Weeks after which an episode is truncated. |
    | `reward` | **str** | `"expected"` | `"expected"` or `"sampled"`, see Rewards. |
    | `beliefs` | **bool** | `False` | Whether the observation includes beliefs. |
    | `privileged` | **bool** | `False` | Whether the observation includes privileged columns. |
    | `store` | **FeatureStore** | `None` | Store of the plans; None makes one in memory. |
    | `executor` | **Executor** | `None` | The fast policy; None uses the default executor. |
    | `population_seed` | **int** | `0` | Seed of the members' traits. |
    | `luck_seed` | **int** | `None` | Luck seed that holds; `None` to draw it. |
    | `first_member` | **int** | `None` | Id of row 0's member in episode 0; `None` to draw it. |
    | `max_episode_steps` | **int** | `None` | Truncate after so many steps, if that is sooner. |
    | `render_mode` | **str** | `None` | `"ansi"` or `"rgb_array"`: the member's timeline. |
    | `num_envs` | **int** | `1` | Number of rows (vector environment only). |
    | `autoreset_mode` | **AutoresetMode** | `SAME_STEP` | See Episode End (vector only). |

    Each environment needs a store of its own.

    ## Example

    A random policy that chooses feasible plans only, for one member:

    ```python
    >>> import gymnasium as gym
    >>> import slowfast_rl
    >>> env = gym.make("slowfast_rl/Pacing-v0", weeks=26)
    >>> observation, info = env.reset(seed=0)
    >>> observation.shape
    (57,)
    >>> episode_return, ended = 0.0, False
    >>> while not ended:
    ...     action = env.action_space.sample(mask=info["action_mask"])
    ...     observation, reward, terminated, truncated, info = env.step(action)
    ...     episode_return += reward
    ...     ended = terminated or truncated

    ```

    One week of a thousand members under the plan of 3 push messages and 1 email:

    ```python
    >>> import numpy as np
    >>> envs = gym.make_vec("slowfast_rl/Pacing-v0", num_envs=1000)
    >>> observations, infos = envs.reset(seed=0)
    >>> plan = envs.world.plans.tolist().index([3, 1])
    >>> actions = np.where(infos["action_mask"][:, plan] == 1, plan, 0)  # 0: send nothing
    >>> observations, rewards, terminated, truncated, infos = envs.step(actions)
    >>> observations.shape, rewards.shape, infos["sends"].shape
    ((1000, 57), (1000,), (1000,))

    ```

    Stable-Baselines3 refuses a vector environment; give it `slowfast_rl.envs.SB3VecEnv(envs)`.

    ## Version History

    * v0: Initial version.

    ## References

    * M. Wood, I. Gupta, K. Mercurio, D. Bryant, C. Dorman, "Thinking Fast & Slow for a
      Personalized Notification System", Netflix Tech Blog, 2026.
    * R. S. Sutton, D. Precup and S. Singh, "Between MDPs and semi-MDPs: A framework for temporal
      abstraction in reinforcement learning", Artificial Intelligence 112, 1999.
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
            resolved.slots_per_week,
            PlanExchange(resolved, store, executor),
            world=resolved,
            belief_filter=belief_filter,
            **episodes,
        )

    def step(self, actions: Any) -> Step:
        """Simulate one week under one plan per member.

        Args:
            actions: [N] indices into ``world.plans``.

        Returns:
            Observations [N, F], rewards [N] in viewing days, terminated [N], truncated [N], infos.

        Raises:
            ValueError: wrong shape or dtype, or an index outside the menu.
            ResetNeeded: the environment has not been reset yet.
            ClosedEnvironmentError: the environment is closed.
        """
        plans = self._begin_step(actions)
        self.plan_exchange.issue(self.population, plans)
        week, _ = self.plan_exchange.run_week(self.population)
        info: Info = {
            "sends": week.sends.sum(axis=1),
            "viewing_days": week.viewing_days,
            "opt_outs": week.opt_outs.sum(axis=1),
            "vetoed": week.vetoed,
        }
        return self._complete_step(week.reward, info)

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
    """Choose one member's pacing plan for each week; a fast policy executes it."""

    vector_type = PacingVectorEnv
