"""``slowfast_rl/Messaging-v0``: one step is one send opportunity, an action selects a message."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from slowfast_rl.envs.base import MemberVectorEnv, Step, resolve_world
from slowfast_rl.envs.documentation import document_observations
from slowfast_rl.envs.infos import Info
from slowfast_rl.envs.single import SingleMemberEnv
from slowfast_rl.members.arrays import Float32, Int8, Int64
from slowfast_rl.members.observations import (
    opportunity_features,
    opportunity_observation,
    weekly_features,
)
from slowfast_rl.members.world import World
from slowfast_rl.policies.component import State
from slowfast_rl.policies.guard import NO_CAP, action_mask, hold_forbidden, pack_plans
from slowfast_rl.policies.plan_exchange import PlanExchange, PlanSource, pack_plan, plans_of_planner
from slowfast_rl.store import FeatureStore


@document_observations(weekly_features, opportunity_features)
class MessagingVectorEnv(MemberVectorEnv):
    """Decide at each send opportunity which candidate message to send, or to hold.

    ## Description

    A streaming service sends messages to its members on several channels. A message may cause a
    member to watch, and it costs attention: fatigue grows with every send and decays within weeks,
    unopened messages wear down the member's goodwill, and an annoyed member leaves the channel. The
    week has a fixed schedule of send opportunities, which are slots of one channel each. At each of
    them K candidate messages are available, and the agent sends one of them or none.

    This is the fast level of the two-level system of Wood et al. (2026). With `plan_source`, a slow
    policy chooses a plan for each member and week, writes it to a feature store, and the plan in
    force is part of the observation. Without a planner, the agent also decides how often to send.

    ## Action Space

    The action space is `Discrete(1 + K)`; K is 4 in the world `pronounced`.

    - 0: hold (send nothing)
    - j = 1, …, K: send candidate j

    `info["action_mask"]` (int8) and `action_masks()` (bool) tell which actions are allowed. Sends
    are forbidden on a channel that the member has left, and beyond the cap of the plan in force. A
    forbidden send is executed as a hold, and `info["vetoed"]` is then True.

    ## Observation Space

    The observation space is a `Box` of float32. In the world `pronounced` its columns are:

    {observation_table}

    - Names in braces stand for one column each, in the order of the numbers.
    - `mean_4_weeks` and `mean_20_weeks` are exponentially weighted means over completed weeks; the
      newest week has the weight 1/4 or 1/20.
    - `light` and `heavy` distinguish sends by the week before them: it is light if the member
      received at most 4 messages in it, over all channels.
    - `slots_left` includes the present slot. `launch_flag` is 1 where a launch of the candidate's
      topic is recent.
    - `has_plan` is 0, and so are the columns after it, where no plans are used.

    With `privileged=True`, columns that no company observes follow:

    {privileged_table}

    In other worlds the channels, topics and candidates may differ. `env.unwrapped.features` lists
    the name, unit and bounds of every column.

    ## Rewards

    The reward is what the slot adds to the week's utility, in viewing days. The weights are those
    of `world.reward`; in the world `pronounced` they are:

    - +1 for a viewing day
    - +0.05 for a causal open, an open that the message itself brought about
    - -0.015 for a send
    - -5 for an opt-out from a channel
    - -5 for churn, which is part of the reward of the week's last slot

    With `reward="expected"`, viewing days and causal opens count by their expected values given the
    member's state, which has less noise and the same mean; with `reward="sampled"`, they count as
    drawn. Opt-outs and churn always count as drawn. The return is discounted by 0.98 per week; at
    each step use the discount 0.98^(1 / slots per week), where `pronounced` has 21 slots per week.

    ## Starting State

    An episode begins at the first slot of week 0 with a member that has not received any message.
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
    | `menu` | **dict** | `None` | Weekly targets by channel that plans choose from. |
    | `weeks` | **int** | `104` | Weeks after which an episode is truncated. |
    | `reward` | **str** | `"expected"` | `"expected"` or `"sampled"`, see Rewards. |
    | `privileged` | **bool** | `False` | Whether the observation includes privileged columns. |
    | `plan_source` | **PlanSource** | `None` | Planner of the weekly plans, and its store. |
    | `store` | **FeatureStore** | `None` | Store to which another program writes plans. |
    | `population_seed` | **int** | `0` | Seed of the members' traits. |
    | `luck_seed` | **int** | `None` | Luck seed that holds; `None` to draw it. |
    | `first_member` | **int** | `None` | Id of row 0's member in episode 0; `None` to draw it. |
    | `max_episode_steps` | **int** | `None` | Truncate after so many steps, if that is sooner. |
    | `render_mode` | **str** | `None` | `"ansi"` or `"rgb_array"`: the member's timeline. |
    | `num_envs` | **int** | `1` | Number of rows (vector environment only). |
    | `autoreset_mode` | **AutoresetMode** | `SAME_STEP` | See Episode End (vector only). |

    With neither `plan_source` nor `store` there are no plans and no caps. With `store` alone, plans
    are read on Monday 00:00. A member without a plan of this week has a fallback plan, and the
    store is read again before each of its observations until a plan of this week is found. When an
    episode begins, the member's plan is deleted from the store.

    ## Example

    A random policy that respects the action mask, for one member:

    ```python
    >>> import gymnasium as gym
    >>> import slowfast_rl
    >>> env = gym.make("slowfast_rl/Messaging-v0", weeks=4)
    >>> observation, info = env.reset(seed=0)
    >>> observation.shape
    (90,)
    >>> episode_return, ended = 0.0, False
    >>> while not ended:
    ...     action = env.action_space.sample(mask=info["action_mask"])
    ...     observation, reward, terminated, truncated, info = env.step(action)
    ...     episode_return += reward
    ...     ended = terminated or truncated

    ```

    One step of a thousand members:

    ```python
    >>> import numpy as np
    >>> envs = gym.make_vec("slowfast_rl/Messaging-v0", num_envs=1000)
    >>> observations, infos = envs.reset(seed=0)
    >>> actions = np.where(infos["action_mask"][:, 1] == 1, 1, 0)  # candidate 1 where allowed
    >>> observations, rewards, terminated, truncated, infos = envs.step(actions)
    >>> observations.shape, rewards.shape, infos["opened"].shape
    ((1000, 90), (1000,), (1000,))

    ```

    Stable-Baselines3 refuses a vector environment; give it `slowfast_rl.envs.SB3VecEnv(envs)`.

    ## Version History

    * v0: Initial version.

    ## References

    * M. Wood, I. Gupta, K. Mercurio, D. Bryant, C. Dorman, "Thinking Fast & Slow for a
      Personalized Notification System", Netflix Tech Blog, 2026.
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
            1,
            PlanExchange(resolved, store if plan_source is None else plan_source.store),
            world=resolved,
            belief_filter=None if plan_source is None else plan_source.planner.belief_filter,
            **episodes,
        )
        no_target = np.zeros((num_envs, len(resolved.channels)), np.int32)
        self._plan_rows = pack_plans(no_target, no_target + (0 if self.has_plan else NO_CAP))
        self._lacks_plan = np.zeros(num_envs, np.bool_)  # no plan of this week has been found yet

    def step(self, actions: Any) -> Step:
        """Simulate one send opportunity with one action per member.

        Args:
            actions: [N] integers; 0 holds, j sends candidate j.

        Returns:
            Observations [N, F], rewards [N] in viewing days, terminated [N], truncated [N], infos.

        Raises:
            ValueError: wrong shape or dtype, or an action outside 0 to K.
            ResetNeeded: the environment has not been reset yet.
            ClosedEnvironmentError: the environment is closed.
        """
        population = self.population
        executed = self._begin_step(actions)
        vetoed = hold_forbidden(population, self._plan_rows, executed)
        slots = population.slots
        reward, events = population.step(executed)
        info: Info = {name: flags.view(np.bool_) for name, flags in events._asdict().items()}
        if self.has_plan and info["opted_out"].any():
            left = np.flatnonzero(info["opted_out"])  # the plan is no longer feasible there
            channel = population.simulation.schedule.channel[slots[left]]
            for column in (2 * channel, 2 * channel + 1):
                self._plan_rows[left, column] = 0
        if self._lacks_plan.any():
            self._read_plans(
                np.flatnonzero(self._lacks_plan & (population.slots > 0) & population.alive)
            )
        return self._complete_step(reward, info | {"vetoed": vetoed})

    def snapshot(self) -> State:
        """Return a copy of all that a step changes; see :meth:`MemberVectorEnv.snapshot`."""
        plans = {"plan_rows": self._plan_rows.copy(), "lacks_plan": self._lacks_plan.copy()}
        return {**super().snapshot(), **plans}

    def _made_with(self) -> dict[str, Any]:
        """Return what two environments must share; see :meth:`MemberVectorEnv.restore`."""
        return super()._made_with() | {"has_plan": self.has_plan}

    def restore(self, state: State) -> None:
        """Continue where another environment was; see :meth:`MemberVectorEnv.restore`."""
        super().restore(state)
        self._plan_rows[:] = state["plan_rows"]
        self._lacks_plan[:] = state["lacks_plan"]

    def _observe(self) -> Float32:
        targets = self._plan_rows[:, 0:-1:2] if self.has_plan else None
        return opportunity_observation(self.population, targets, privileged=self.privileged)

    def _begin_week(self, rows: Int64) -> None:
        """Choose plans of the week for some rows, write them to the store, read those in force."""
        if not self.has_plan:
            return
        if self.plan_source is not None:
            planner = self.plan_source.planner
            plans = plans_of_planner(self.population, planner, rows)
            self.plan_exchange.issue(self.population, plans, planner.policy_version, rows)
        alive = self.population.alive[rows]
        self._plan_rows[rows[~alive]] = 0
        self._lacks_plan[rows] = alive
        self._read_plans(rows[alive])

    def _read_plans(self, rows: Int64) -> None:
        """Read the plans in force of some rows, given by indices, whose members have not churned.

        A plan of this week stays in force until the week ends, so it is read only once.
        """
        if not rows.size:
            return
        plan, is_settled = self.plan_exchange.read_plans_in_force(self.population, rows)
        self._plan_rows[rows] = pack_plan(plan)
        self._lacks_plan[rows] = ~is_settled

    def _mask(self) -> Int8:
        return action_mask(self.population, self._plan_rows)


class MessagingEnv(SingleMemberEnv):
    """Decide at each send opportunity of one member which candidate message to send, or to hold."""

    vector_type = MessagingVectorEnv
