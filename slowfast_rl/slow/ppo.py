"""Stable-Baselines3 PPO on weekly options."""

from dataclasses import dataclass
from time import process_time
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from slowfast_rl.envs.base import MemberVectorEnv
from slowfast_rl.envs.pacing import PacingVectorEnv
from slowfast_rl.envs.stagger import stagger
from slowfast_rl.members.arrays import Float32, Int64
from slowfast_rl.members.observations import Feature, bounds, weekly_features
from slowfast_rl.members.world import World
from slowfast_rl.policies.budget import Progress, Schedule, check_budget, schedule
from slowfast_rl.policies.checkpoint import Checkpoint
from slowfast_rl.policies.component import NotTrainedError, State
from slowfast_rl.policies.contracts import BasePlanner, Executor, PlanRequest
from slowfast_rl.policies.plan_exchange import plan_request
from slowfast_rl.policies.ppo import ENDLESS, LEAST_ROLLOUTS, SharedPPOSettings
from slowfast_rl.policies.registry import register
from slowfast_rl.policies.settings import setting
from slowfast_rl.slow.simple import RandomPlanner

if TYPE_CHECKING:
    from stable_baselines3.common.logger import Logger

    from slowfast_rl.slow.ppo_network import PlanPolicy

_KEPT_SHARE = 8  # one row in so many is kept each week, to standardise inputs with


@dataclass(frozen=True, kw_only=True)
class PPOSettings(SharedPPOSettings):
    """Settings of :class:`PPOPlanner`."""

    n_steps: int = setting(32, "weeks per member between updates", low=1, high=2**24)
    batch_size: int = setting(8192, "weeks in a gradient step", low=2, high=2**31)
    beliefs: bool = setting(
        True, "whether inputs include the belief filter's, under the world's own parameters"
    )


@register
class PPOPlanner(BasePlanner):
    """Plans by proximal policy optimisation over weekly options (Schulman et al. 2017).

    Options have a fixed length, so one discount, .98 a week, serves.
    """

    name = "ppo"
    Settings = PPOSettings
    settings: PPOSettings
    default_opportunities = 60_000_000

    def __init__(self, settings: PPOSettings | None = None, **values: Any) -> None:
        super().__init__(settings, **values)
        self.needs_beliefs = self.settings.beliefs
        self.policy: PlanPolicy | None = None

    def learn(
        self,
        world: World,
        executor: Executor | None = None,
        *,
        total_opportunities: int | None = None,
        total_cpu_seconds: float | None = None,
        seed: int = 0,
        logger: "Logger | None" = None,
        progress: Progress | None = None,
        warm_start: bool = False,
        checkpoint: Checkpoint | None = None,
    ) -> Self:
        """Train on members of population ``seed``.

        Training begins from new weights, or with ``warm_start`` from those learned before. It seeds
        the global generators of Python, numpy and torch, as Stable-Baselines3 does.

        Args:
            world: the world.
            executor: the fast policy that executes the plans; None for the default.
            total_opportunities: send opportunities to play; see :meth:`schedule` for what they
                come to. Reproducible bit for bit.
            total_cpu_seconds: CPU time to spend instead, set-up and ``progress`` not counted.
            seed: of population, luck, exploration and weights, 0 to 2^32 - 1.
            logger: where SB3's metrics go; None for nowhere.
            progress: called before each rollout with the opportunities played so far.
            warm_start: whether to go on from the weights that were learned before.
            checkpoint: keeps the training between rollouts; None for nowhere.

        Raises:
            ValueError: not exactly one budget above 0 is given.
        """
        from slowfast_rl.envs.sb3_training import Budget, ppo_model, train  # imports torch
        from slowfast_rl.slow.ppo_network import PlanPolicy, policy_arguments

        check_budget(total_opportunities, total_cpu_seconds)
        start, s = process_time(), self.settings
        planned = self.schedule(world, total_opportunities)
        num_envs = planned.members or s.num_envs
        stopped = None if checkpoint is None else checkpoint.state
        env, observations = self._begin(world, executor, seed, num_envs, stopped is not None)
        played_before = num_envs * (s.weeks - 1) * world.slots_per_week
        model = ppo_model(
            PlanPolicy,
            env,
            s,
            discount=world.reward.weekly_discount,
            seed=seed,
            policy_arguments=policy_arguments(world, observations, s.hidden),
            logger=logger,
        )
        assert isinstance(model.policy, PlanPolicy)
        if warm_start and self.policy is not None:
            model.policy.load_state_dict(self.policy.state_dict())
        self.policy = model.policy  # now, so that progress can evaluate it
        self.policy_version += stopped is None
        slots = world.slots_per_week

        def report(weeks: int) -> None:
            self.opportunities = played_before + weeks * slots
            self.cpu_seconds = budget.spent + set_up
            if progress is not None:
                progress(self.opportunities)

        set_up = process_time() - start if stopped is None else stopped["set_up"]
        kept = {"set_up": set_up}
        budget = Budget(seed, total_cpu_seconds, report)
        train(model, (planned.rounds or ENDLESS) * num_envs * s.n_steps, budget, checkpoint, kept)
        self.opportunities = played_before + int(model.num_timesteps) * slots
        self.cpu_seconds = budget.spent + set_up
        return self

    def schedule(self, world: World, total_opportunities: int | None) -> Schedule:
        """Return what a budget comes to: rollouts, and the members played in each.

        Members are brought to all ages of an episode before the first rollout. There are four
        rollouts or more; a small budget makes them small.
        """
        s, slots = self.settings, world.slots_per_week
        return schedule(
            total_opportunities,
            members=s.num_envs,
            set_up=(s.weeks - 1) * slots,
            per_round=s.n_steps * slots,
            least_rounds=LEAST_ROLLOUTS,
            unit="rollout",
        )

    def untrained(
        self, world: World, seed: int = 0, executor: Executor | None = None
    ) -> "PPOPlanner":
        """Return a planner with the very weights that training begins with.

        Its inputs are standardised as in the training of this one, which may have been of fewer
        members than the settings say; before training, as in one of all members.
        """
        planner = type(self)(self.settings)
        if self.policy is None or self.world != world:
            _, observations = planner._begin(world, executor, seed, self.settings.num_envs)
            planner.policy = planner._network(world, observations, seed)
        else:
            from slowfast_rl.policies.networks import copy_buffers  # imports torch

            policy = planner.prepare(world)._standard_network(world, seed)
            copy_buffers(policy, self.policy)
            planner.policy = policy
        return planner

    @property
    def can_act(self) -> bool:
        """Whether it has a network."""
        return self.policy is not None

    def plan(self, request: PlanRequest) -> Int64:
        """Return the plan nearest to the expected sends, for each of B members, [B].

        Raises:
            RuntimeError: the planner has not learned yet.
        """
        return self._trained().modes(self.inputs(request))

    def plan_scores(self, request: PlanRequest) -> Float32:
        """Return the probability of every plan, [B, O]; :meth:`plan` is nearest to their mean.

        Raises:
            RuntimeError: the planner has not learned yet.
        """
        return self._trained().probabilities(self.inputs(request))

    def state(self) -> dict[str, Any]:
        """Return a copy of the network's arrays.

        Raises:
            RuntimeError: the planner has not learned yet.
        """
        policy = self._trained()
        from slowfast_rl.policies.networks import weights_of  # imports torch

        return weights_of(policy)

    @classmethod
    def from_state(cls, world: World, settings: Any, state: State, **parts: Any) -> Self:
        """Rebuild a planner from :meth:`state`.

        Raises:
            ValueError: the arrays are not those of a planner of this world.
        """
        from slowfast_rl.policies.networks import rebuilt  # imports torch

        planner = cls(settings).prepare(world)
        planner.policy = rebuilt(lambda seed: planner._standard_network(world, seed), state)
        return planner

    def _features(self, world: World) -> tuple[Feature, ...]:
        return weekly_features(world) + (self.belief_filter.features if self.belief_filter else ())

    def _trained(self) -> "PlanPolicy":
        if self.policy is None:
            raise NotTrainedError("the planner has no network; call learn or load first")
        return self.policy

    def _begin(
        self,
        world: World,
        executor: Executor | None,
        seed: int,
        num_envs: int,
        stopped: bool = False,
    ) -> tuple[PacingVectorEnv, Float32]:
        """Return members of all ages and features that they met, [B, F].

        For a training that was stopped they are new members and zeros, as its state has both.
        """
        self.prepare(world)
        env = PacingVectorEnv(
            num_envs,
            world,
            weeks=self.settings.weeks,
            executor=executor,
            beliefs=self.settings.beliefs,
            population_seed=seed,
            luck_seed=seed,
            first_member=0,
        )
        if stopped:
            env.reset(seed=seed)
            return env, np.zeros((1, len(self._features(world))), np.float32)
        return env, stagger_under_random_plans(env, seed)

    def _standard_network(self, world: World, seed: int | None) -> "PlanPolicy":
        """Return a new network whose inputs are not standardised yet."""
        nothing = np.zeros((1, len(self._features(world))), np.float32)
        return self._network(world, nothing, seed)

    def _network(self, world: World, observations: Float32, seed: int | None) -> "PlanPolicy":
        """Return a new network; the caller's random numbers stay as they are."""
        from slowfast_rl.policies.networks import new_policy  # imports torch
        from slowfast_rl.slow.ppo_network import PlanPolicy, policy_arguments

        return new_policy(
            PlanPolicy,
            bounds(self._features(world)),
            len(world.plans),
            self.settings,
            seed,
            policy_arguments(world, observations, self.settings.hidden),
        )


def stagger_under_random_plans(env: MemberVectorEnv, seed: int) -> Float32:
    """Bring rows to all ages of an episode under random plans, and return features met [B, F].

    Args:
        env: options of one week; its rows go through their first episode.
        seed: of luck and plans.
    """
    planner = RandomPlanner(seed)
    met = stagger(env, seed, lambda _: planner.plan(plan_request(env.population)))
    return np.concatenate(
        [seen[week % _KEPT_SHARE :: _KEPT_SHARE] for week, seen in enumerate(met)]
    )
