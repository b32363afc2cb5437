"""Stable-Baselines3 PPO at every opportunity, beginning as a ranker and a pacer."""

from collections.abc import Mapping
from dataclasses import dataclass
from time import process_time
from typing import Any, Self

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.utils import get_device
from stable_baselines3.common.vec_env import VecNormalize
from torch.distributions import Categorical

from slowfast_rl.envs.messaging import MessagingVectorEnv
from slowfast_rl.envs.sb3 import StaggeredVecEnv
from slowfast_rl.fast.ppo_network import MessagePolicy, Prior, policy_arguments
from slowfast_rl.fast.uplift import UpliftRanker
from slowfast_rl.members.arrays import Float32, Int8, Int64
from slowfast_rl.members.observations import bounds, opportunity_features, weekly_features
from slowfast_rl.members.random import Domain, ExplorationStream, random_words
from slowfast_rl.members.world import World
from slowfast_rl.policies.budget import Budget, Progress, check_budget
from slowfast_rl.policies.component import register
from slowfast_rl.policies.contracts import BaseExecutor, BasePlanner
from slowfast_rl.policies.plan_exchange import PlanSource
from slowfast_rl.policies.settings import (
    SB3_SETTINGS,
    Settings,
    check_rollout,
    check_weights,
    device_setting,
    setting,
)
from slowfast_rl.store import InMemoryFeatureStore

_ENDLESS = 2**62  # steps, where CPU time is the budget
_SIGNAL_SHARE = 64  # one row in so many gives its features at a slot


@dataclass(frozen=True, kw_only=True)
class PPOExecutorSettings(Settings):
    """Settings of :class:`PPOExecutor`."""

    planned: bool = setting(True, "whether it sees plans and keeps their caps")
    send_share: float = setting(
        0.2,
        "share of opportunities that it sends at first, without a plan",
        low=0,
        high=1,
        above=True,
        below=True,
    )
    num_envs: int = setting(1024, "members played in parallel", low=1, high=2**24)
    weeks: int = setting(56, "length of an episode (weeks)", low=1, high=2**16)
    n_steps: int = setting(320, "opportunities a member plays between updates", low=1, high=2**24)
    batch_size: int = setting(16384, "opportunities in a gradient step", low=2, high=2**31)
    n_epochs: int = setting(2, "passes over a rollout", low=1, high=1000)
    learning_rate: float = setting(5e-4, "Adam's", low=0, high=1)
    gae_lambda: float = setting(
        1.0,
        "1 keeps the Monte Carlo return of a rollout; a value bootstrapped over partially observed "
        'members says "send less" where Monte Carlo says "send more"',
        low=0,
        high=1,
    )
    ent_coef: float = setting(0.0, "weight of the entropy bonus", low=0, high=1e6)
    hidden: int = setting(64, "width of the nets", low=1, high=4096)
    device: str = device_setting()

    def __post_init__(self) -> None:
        """Check every field, and that a rollout has two steps or more."""
        super().__post_init__()
        check_rollout(self.num_envs, self.n_steps)


@register
class PPOExecutor(BaseExecutor):
    """A fast policy by proximal policy optimisation on ``Messaging-v0`` (Schulman et al. 2017).

    It begins as what it is given: sends with the exact pacer's chance (without a plan, at a
    constant rate), and then the candidate of the greatest predicted effect; a network learns a
    correction of these logits. Among candidates it picks the best, whether to send is drawn.

    Args:
        ranker: the causal model that it begins with; None for none, all candidates alike.
        settings: a :class:`PPOExecutorSettings`; or give each by its name.
    """

    name = "ppo"
    Settings = PPOExecutorSettings
    settings: PPOExecutorSettings
    parts = ("ranker",)

    def __init__(
        self,
        ranker: UpliftRanker | None = None,
        settings: PPOExecutorSettings | None = None,
        **values: Any,
    ) -> None:
        super().__init__(settings, **values)
        self.ranker = ranker
        self.policy: MessagePolicy | None = None

    @property
    def planned(self) -> bool:  # type: ignore[override]  # a setting here
        """Whether it sees plans and is bound by their caps."""
        return self.settings.planned

    def learn(
        self,
        world: World,
        planner: BasePlanner | None = None,
        *,
        total_opportunities: int | None = None,
        total_cpu_seconds: float | None = None,
        seed: int = 0,
        logger: Logger | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Train on members of population ``seed``, from a correction of 0; the ranker stays.

        Seeds the global generators of Python, numpy and torch, as Stable-Baselines3 does.

        Args:
            world: the world.
            planner: whose plans, read from a store, the policy learns to execute; None without.
            total_opportunities: send opportunities to play, rounded up to whole rollouts;
                reproducible bit for bit.
            total_cpu_seconds: CPU time to spend instead, set-up and ``progress`` not counted.
            seed: of population, luck, exploration and weights, 0 to 2^32 - 1.
            logger: where SB3's metrics go; None for nowhere.
            progress: called before each rollout with the opportunities played so far.

        Raises:
            ValueError: not exactly one budget above 0, or a planner missing or not wanted.
        """
        check_budget(total_opportunities, total_cpu_seconds)
        if (planner is not None) != self.planned:
            raise ValueError(f"planner is {planner} and planned is {self.planned}; both or neither")
        start, s = process_time(), self.settings
        env, observations = self._begin(world, planner, seed)
        self.opportunities_before = s.num_envs * (s.weeks - 1) * world.slots_per_week
        discount = world.reward.weekly_discount ** (1 / world.slots_per_week)
        model = PPO(
            MessagePolicy,
            VecNormalize(StaggeredVecEnv(env), norm_obs=False, gamma=discount),
            gamma=discount,
            seed=seed,
            policy_kwargs=policy_arguments(self._prior(world), observations, s.hidden),
            **{name: getattr(s, name) for name in SB3_SETTINGS}
            | {"batch_size": min(s.batch_size, s.num_envs * s.n_steps)},
        )
        model.set_logger(logger or Logger(None, []))
        assert isinstance(model.policy, MessagePolicy)
        self.policy = model.policy  # now, so that progress can evaluate it

        def report(opportunities: int) -> None:
            self.opportunities, self.cpu_seconds = opportunities, budget.spent + set_up
            if progress is not None:
                progress(opportunities)

        set_up = process_time() - start
        budget = Budget(seed, total_cpu_seconds, report)
        model.learn(total_opportunities or _ENDLESS, budget)
        self.opportunities = int(model.num_timesteps)
        self.cpu_seconds = budget.spent + set_up
        return self

    def untrained(
        self, world: World, seed: int = 0, planner: BasePlanner | None = None
    ) -> "PPOExecutor":
        """Return a policy with the very weights that training begins with."""
        executor = type(self)(self.ranker, self.settings)
        _, observations = executor._begin(world, planner, seed)
        executor.policy = executor._network(world, observations, seed)
        return executor

    def act(self, observations: Float32, masks: Int8, coins: Float32) -> Int64:
        """Return actions [B]: a coin decides whether to send, the best candidate is sent.

        Raises:
            RuntimeError: the policy has not learned yet.
        """
        policy = self._trained()
        policy.set_training_mode(False)
        with torch.no_grad():
            seen = torch.as_tensor(observations, device=policy.device)
            distribution = policy.get_distribution(seen).distribution
            assert isinstance(distribution, Categorical)
            chances = distribution.probs.cpu().numpy()
        send = (coins < 1 - chances[:, 0]) & (masks[:, 1] > 0)
        return np.where(send, chances[:, 1:].argmax(axis=1) + 1, 0)

    def state(self) -> dict[str, Any]:
        """Return a copy of the network's arrays.

        Raises:
            RuntimeError: the policy has not learned yet.
        """
        return {k: v.cpu().numpy().copy() for k, v in self._trained().state_dict().items()}

    @classmethod
    def from_state(
        cls, world: World, settings: Any, state: Mapping[str, Any], **parts: Any
    ) -> Self:
        """Rebuild a policy from :meth:`state`.

        Raises:
            ValueError: the arrays are not those of a policy of this world.
        """
        executor = cls(settings=settings, **parts)
        width = len(weekly_features(world) + opportunity_features(world))
        policy = executor._network(world, np.zeros((1, width), np.float32), 0)
        check_weights(state, policy.state_dict())
        policy.load_state_dict({k: torch.as_tensor(v) for k, v in state.items()})
        executor.policy = policy
        return executor

    def _trained(self) -> MessagePolicy:
        if self.policy is None:
            raise RuntimeError("the executor has no network; call learn or from_state first")
        return self.policy

    def _prior(self, world: World) -> Prior:
        if self.ranker is not None:
            self.ranker.check_world(world)
        return Prior(
            world, None if self.ranker is None else self.ranker.weights, self.settings.send_share
        )

    def _begin(
        self, world: World, planner: BasePlanner | None, seed: int
    ) -> tuple[MessagingVectorEnv, Float32]:
        """Return members of all ages under random actions, and features that they met, [B, F]."""
        env = MessagingVectorEnv(
            self.settings.num_envs,
            world,
            plan_source=None if planner is None else PlanSource(planner, InMemoryFeatureStore()),
            weeks=self.settings.weeks,
            population_seed=seed,
            luck_seed=seed,
            first_member=0,
        )
        observations, _ = env.reset(seed=seed)
        rows, met = np.arange(env.num_envs), [observations[::_SIGNAL_SHARE]]
        for time in range((env.weeks - 1) * world.slots_per_week):
            times = np.full(len(rows), time)
            words = random_words(
                seed, ExplorationStream.WARM_UP_SENDS, rows, times, Domain.EXPLORATION
            )
            send = words / 2**32 < self.settings.send_share
            if time:
                met.append(observations[time % _SIGNAL_SHARE :: _SIGNAL_SHARE])
            actions = np.where(send, 1 + words.astype(np.int64) % world.num_candidates, 0)
            observations = env.step(actions)[0]
            if env.population.slot == 0:
                env.restart(rows[rows % env.weeks == time // world.slots_per_week])
                observations = env.observe()
        return env, np.concatenate(met)

    def _network(self, world: World, observations: Float32, seed: int) -> MessagePolicy:
        """Return a new network; the caller's random numbers stay as they are."""
        low, high = bounds(weekly_features(world) + opportunity_features(world))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            policy = MessagePolicy(
                spaces.Box(low, high, dtype=np.float32),
                spaces.Discrete(1 + world.num_candidates),
                lambda _: float(self.settings.learning_rate),
                **policy_arguments(self._prior(world), observations, self.settings.hidden),
            )
        return policy.to(get_device(self.settings.device))
