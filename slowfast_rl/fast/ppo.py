"""Stable-Baselines3 PPO at every opportunity, beginning as a ranker and a pacer."""

from collections.abc import Mapping
from dataclasses import dataclass
from time import process_time
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from slowfast_rl.envs.messaging import MessagingVectorEnv
from slowfast_rl.envs.stagger import stagger
from slowfast_rl.fast.executor import ExactPacer, PacedExecutor, QualityRanker
from slowfast_rl.fast.prior import Prior, Scale, typical_scale, unit_scale
from slowfast_rl.members.arrays import Float32, Int8, Int32, Int64
from slowfast_rl.members.observations import bounds, opportunity_features, weekly_features
from slowfast_rl.members.population import Population
from slowfast_rl.members.random import Domain, ExplorationStream, random_words
from slowfast_rl.members.state import Week
from slowfast_rl.members.world import World
from slowfast_rl.policies.budget import Progress, Schedule, check_budget, schedule
from slowfast_rl.policies.checkpoint import Checkpoint
from slowfast_rl.policies.component import NotTrainedError
from slowfast_rl.policies.contracts import BaseExecutor, BasePacer, BasePlanner, BaseRanker, Choice
from slowfast_rl.policies.plan_exchange import PlanSource
from slowfast_rl.policies.ppo import ENDLESS, LEAST_ROLLOUTS, SharedPPOSettings
from slowfast_rl.policies.registry import register
from slowfast_rl.policies.settings import setting
from slowfast_rl.store import UNIFORM_SHAPE, InMemoryFeatureStore, PacingPlan

if TYPE_CHECKING:
    from stable_baselines3.common.logger import Logger

    from slowfast_rl.fast.ppo_network import MessagePolicy

_OBSERVED_SHARE = 64  # one row in so many is kept at a slot, to standardise inputs with


@dataclass(frozen=True, kw_only=True)
class PPOExecutorSettings(SharedPPOSettings):
    """Settings of :class:`PPOExecutor`."""

    planned: bool = setting(True, "whether it sees plans and keeps their caps")
    send_share: float = setting(
        0.2,
        "probability of a send at first, without a plan and a pacer",
        low=0,
        high=1,
        above=True,
        below=True,
    )
    temperature: float = setting(
        0.25,
        "temperature of the candidate choice and of the send decision, in standard deviations of "
        "the scores; higher explores more",
        low=0,
        high=1e3,
        above=True,
    )
    num_envs: int = setting(1024, "members simulated in parallel", low=1, high=2**24)
    weeks: int = setting(56, "length of an episode (weeks)", low=1, high=2**16)
    n_steps: int = setting(320, "opportunities per member between updates", low=1, high=2**24)
    batch_size: int = setting(16384, "opportunities in a gradient step", low=2, high=2**31)
    learning_rate: float = setting(5e-4, "learning rate of Adam", low=0, high=1)


@register
class PPOExecutor(BaseExecutor):
    """A fast policy by proximal policy optimisation on ``Messaging-v0`` (Schulman et al. 2017).

    It begins as a pacer and a ranker, which are fitted first: a send is considered with the
    pacer's probability, and made if the best candidate's score exceeds the pacer's least score. A
    network learns corrections of that margin and of the candidates' scores, both 0 at first. In
    training both choices are drawn, from a sigmoid of the margin and a softmax over the scores;
    afterwards the signs and the best score decide, so that an executor with corrections of 0
    makes the very decisions of its pacer and ranker.

    Without plans (``planned=False``) and without a pacer it begins by sending at a constant rate,
    and a coin decides after training too; without a ranker all candidates are alike.

    Args:
        pacer: that it begins as; None for the exact pacer if there are plans, or for none.
        ranker: that it begins as; None for quality only if there are plans, or for none.
        settings: a :class:`PPOExecutorSettings`; or give each by its name.
    """

    name = "ppo"
    Settings = PPOExecutorSettings
    settings: PPOExecutorSettings
    parts = PacedExecutor.parts
    default_opportunities = 10_000_000

    def __init__(
        self,
        pacer: BasePacer | None = None,
        ranker: BaseRanker | None = None,
        settings: PPOExecutorSettings | None = None,
        **values: Any,
    ) -> None:
        super().__init__(settings, **values)
        if self.settings.planned:
            pacer, ranker = pacer or ExactPacer(), ranker or QualityRanker()
        self.pacer, self.ranker = pacer, ranker
        self.policy: MessagePolicy | None = None

    @property
    def planned(self) -> bool:  # type: ignore[override]  # a setting here
        """Whether it sees plans and is bound by their caps."""
        return self.settings.planned

    @property
    def takes_plans(self) -> bool:
        """Whether its training cannot do without the plans of a planner."""
        return self.settings.planned

    @property
    def can_act(self) -> bool:
        """Whether it has a network, or a pacer and a ranker to begin as."""
        return self.policy is not None or self._paced() is not None

    def prepare(self, world: World, seed: int = 0) -> Self:
        """Fit pacer and ranker, so that it executes plans as they do until it learns."""
        self.policy, self.opportunities = None, 0
        fitted = self._paced()
        if fitted is not None:
            self.opportunities = fitted.learn(world, seed=seed).opportunities
        return self

    def learn(
        self,
        world: World,
        planner: BasePlanner | None = None,
        *,
        total_opportunities: int | None = None,
        total_cpu_seconds: float | None = None,
        seed: int = 0,
        logger: "Logger | None" = None,
        progress: Progress | None = None,
        warm_start: bool = False,
        checkpoint: Checkpoint | None = None,
    ) -> Self:
        """Fit pacer and ranker, then train corrections of them on members of population ``seed``.

        Seeds the global generators of Python, numpy and torch, as Stable-Baselines3 does.

        Args:
            world: the world.
            planner: whose plans, read from a store, the policy learns to execute; None without.
            total_opportunities: send opportunities to play; see :meth:`schedule` for what they
                come to. Reproducible bit for bit.
            total_cpu_seconds: CPU time to spend instead, set-up and ``progress`` not counted.
            seed: of population, luck, exploration and weights, 0 to 2^32 - 1.
            logger: where SB3's metrics go; None for nowhere.
            progress: called before each rollout with the opportunities played so far.
            warm_start: whether pacer, ranker and corrections stay as they are at first.
            checkpoint: keeps the training between rollouts; None for nowhere.

        Raises:
            ValueError: not exactly one budget above 0, or a planner missing or not wanted.
        """
        from slowfast_rl.envs.sb3_training import Budget, ppo_model, train  # imports torch
        from slowfast_rl.fast.ppo_network import MessagePolicy, policy_arguments

        check_budget(total_opportunities, total_cpu_seconds)
        if (planner is not None) != self.planned:
            raise ValueError(
                f"planner is {planner} and planned is {self.planned}; allowed is a planner with "
                "planned=True, or None with planned=False"
            )
        start, s = process_time(), self.settings
        stopped = None if checkpoint is None else checkpoint.state
        if stopped is not None:
            before = stopped["before"]
        else:
            before = 0 if warm_start else self.prepare(world, seed).opportunities
        planned = self.schedule(world, total_opportunities)
        num_envs = planned.members or s.num_envs
        env = self._env(world, planner, seed, num_envs)
        prior, scale = self._prior(world), unit_scale(world)
        if stopped is None:
            before += num_envs * (s.weeks - 1) * world.slots_per_week
            scale = typical_scale(prior, self._met(env, seed))
        else:
            env.reset(seed=seed)  # to where it was stopped, below
        model = ppo_model(
            MessagePolicy,
            env,
            s,
            discount=world.reward.weekly_discount ** (1 / world.slots_per_week),
            seed=seed,
            policy_arguments=policy_arguments(prior, scale, s.hidden),
            logger=logger,
        )
        assert isinstance(model.policy, MessagePolicy)
        if self.policy is not None:
            model.policy.load_state_dict(self.policy.state_dict())
        self.policy = model.policy  # now, so that progress can evaluate it

        def report(opportunities: int) -> None:
            self.opportunities, self.cpu_seconds = before + opportunities, budget.spent + set_up
            if progress is not None:
                progress(self.opportunities)

        set_up = process_time() - start if stopped is None else stopped["set_up"]
        budget = Budget(seed, total_cpu_seconds, report)
        steps = (planned.rounds or ENDLESS) * num_envs * s.n_steps
        train(model, steps, budget, checkpoint, {"before": before, "set_up": set_up})
        self.opportunities = before + int(model.num_timesteps)
        self.cpu_seconds = budget.spent + set_up
        return self

    def schedule(self, world: World, total_opportunities: int | None) -> Schedule:
        """Return what a budget comes to: rollouts, and the members played in each.

        Members are brought to all ages of an episode before the first rollout. There are four
        rollouts or more; a small budget makes them small. The logs that pacer and ranker are
        fitted to come on top.
        """
        s, fitted = self.settings, self._paced()
        planned = schedule(
            total_opportunities,
            members=s.num_envs,
            set_up=(s.weeks - 1) * world.slots_per_week,
            per_round=s.n_steps,
            least_rounds=LEAST_ROLLOUTS,
            unit="rollout",
        )
        return planned._replace(on_top=fitted.schedule(world).opportunities if fitted else 0)

    def untrained(
        self, world: World, seed: int = 0, planner: BasePlanner | None = None
    ) -> "PPOExecutor":
        """Return an executor of the same pacer and ranker with corrections of 0.

        The inputs of its network, where it needs one, are standardised as in the training of this
        one, which may have been of fewer members than the settings say.
        """
        executor = type(self)(self.pacer, self.ranker, self.settings)
        if executor._paced() is not None:
            return executor
        if self.policy is None or self.policy.features_extractor.prior.world != world:
            env = executor._env(world, planner, seed, self.settings.num_envs)
            typical = typical_scale(executor._prior(world), executor._met(env, seed))
            executor.policy = executor._network(world, typical, seed)
        else:
            from slowfast_rl.policies.networks import copy_buffers  # imports torch

            executor.policy = executor._network(world, unit_scale(world), seed)
            copy_buffers(executor.policy, self.policy)
        return executor

    def run_week(
        self,
        population: Population,
        target: Int32,
        cap: Int32 | None = None,
        shape: Int32 | int = UNIFORM_SHAPE,
    ) -> Week:
        """Simulate one week; until it has learned, it decides as its pacer and ranker do."""
        fitted = self._paced()
        if self.policy is None and fitted is not None:
            return fitted.run_week(population, target, cap, shape)
        return super().run_week(population, target, cap, shape)

    def choose(
        self,
        world: World,
        obs: Float32,
        plan: PacingPlan | None,
        entity_ids: Int64,
        times: Int64,
        seed: int,
    ) -> Choice:
        """Return the decisions at B opportunities; see :meth:`run_week`."""
        fitted = self._paced()
        given = world, obs, plan, entity_ids, times, seed
        if self.policy is None and fitted is not None:
            return fitted.choose(*given)
        return super().choose(*given)

    def act(self, observations: Float32, masks: Int8, coins: Float32) -> Int64:
        """Return actions [B]: the best candidate where a send is considered and worth it.

        Raises:
            RuntimeError: the policy has not learned yet.
        """
        return self.decide(observations, masks, coins).actions

    def decide(self, observations: Float32, masks: Int8, coins: Float32) -> Choice:
        """Return the actions of :meth:`act` and their probabilities over the coins.

        Raises:
            RuntimeError: the policy has not learned yet.
        """
        scores, margin, considered = self._trained().corrections(observations)
        # Without a pacer the margin is all that says how much is sent, and a coin decides.
        worth = margin >= 0 if self.pacer is not None else 1 / (1 + np.exp(-margin))
        share = np.where(masks[:, 1] > 0, considered * worth, 0)  # of coins that send
        send = coins < share
        propensity = np.where(send, share, 1 - share).astype(np.float64)
        return Choice(np.where(send, scores.argmax(axis=1) + 1, 0), propensity)

    def state(self) -> dict[str, Any]:
        """Return a copy of the network's arrays; empty before it learned corrections.

        Raises:
            RuntimeError: the policy has not learned, and has no pacer and ranker to begin as.
        """
        if self.policy is None and self._paced() is not None:
            return {}
        policy = self._trained()
        from slowfast_rl.policies.networks import weights_of  # imports torch

        return weights_of(policy)

    @classmethod
    def from_state(
        cls, world: World, settings: Any, state: Mapping[str, Any], **parts: Any
    ) -> Self:
        """Rebuild a policy from :meth:`state`.

        Raises:
            ValueError: the arrays are not those of a policy of this world.
        """
        from slowfast_rl.policies.networks import rebuilt  # imports torch

        executor = cls(settings=settings, **parts)
        executor._prior(world)
        if state:
            executor.policy = rebuilt(
                lambda seed: executor._network(world, unit_scale(world), seed), state
            )
        return executor

    @property
    def label(self) -> str:
        """The algorithm, and what it begins as where that is not the default experiment's."""
        fitted = self._paced()
        begins = fitted.label if fitted is not None else "bid_price"
        return self.name if begins == "bid_price" else f"{self.name}-{begins}"

    def versioned(self) -> dict[str, Any]:
        """Return what tells one version of the executor from another."""
        fitted = self._paced()
        return super().versioned() | ({} if fitted is None else fitted.versioned())

    def _trained(self) -> "MessagePolicy":
        if self.policy is None:
            raise NotTrainedError("the executor has no network; call learn or load first")
        return self.policy

    def _paced(self) -> PacedExecutor | None:
        """Return the executor of its pacer and ranker; None if it lacks one of them."""
        if self.pacer is None or self.ranker is None:
            return None
        return PacedExecutor(self.pacer, self.ranker)

    def _prior(self, world: World) -> Prior:
        """Return what it begins with.

        Raises:
            ValueError: pacer or ranker learned in a world of other channels.
        """
        if self.ranker is not None:
            self.ranker.check_world(world)
        if self.pacer is not None:
            self.pacer.pacing(world)
        share = self.settings.send_share if self.pacer is None else None
        return Prior(world, self.pacer, self.ranker, share, self.settings.temperature)

    def _env(
        self, world: World, planner: BasePlanner | None, seed: int, num_envs: int
    ) -> MessagingVectorEnv:
        """Return the members that it learns on, under the plans of a planner."""
        return MessagingVectorEnv(
            num_envs,
            world,
            plan_source=None if planner is None else PlanSource(planner, InMemoryFeatureStore()),
            weeks=self.settings.weeks,
            population_seed=seed,
            luck_seed=seed,
            first_member=0,
        )

    def _met(self, env: MessagingVectorEnv, seed: int) -> Float32:
        """Bring members to all ages under random actions; return features that they met, [B, F]."""
        world, rows = env.world, np.arange(env.num_envs)

        def random_sends(time: int) -> Int64:
            words = random_words(
                seed,
                ExplorationStream.WARM_UP_SENDS,
                rows,
                np.full(len(rows), time),
                Domain.EXPLORATION,
            )
            send = words / 2**32 < self.settings.send_share
            return np.where(send, 1 + words.astype(np.int64) % world.num_candidates, 0)

        met = [
            seen[time % _OBSERVED_SHARE :: _OBSERVED_SHARE]
            for time, seen in enumerate(stagger(env, seed, random_sends))
        ]
        return np.concatenate(met[:-1] or met)  # the last is where training begins

    def _network(self, world: World, typical: Scale, seed: int | None) -> "MessagePolicy":
        """Return a new network; the caller's random numbers stay as they are."""
        from slowfast_rl.fast.ppo_network import MessagePolicy, policy_arguments  # imports torch
        from slowfast_rl.policies.networks import new_policy

        return new_policy(
            MessagePolicy,
            bounds(weekly_features(world) + opportunity_features(world)),
            1 + world.num_candidates,
            self.settings,
            seed,
            policy_arguments(self._prior(world), typical, self.settings.hidden),
        )
