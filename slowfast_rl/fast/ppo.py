"""Stable-Baselines3 PPO at every opportunity, beginning as a ranker and a pacer."""

from collections.abc import Mapping
from time import process_time
from typing import Any, Self

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.utils import get_device
from stable_baselines3.common.vec_env import VecNormalize
from torch.distributions import Categorical

from slowfast_rl.envs.messaging import MessagingVectorEnv
from slowfast_rl.envs.sb3 import StaggeredVecEnv
from slowfast_rl.fast.ppo_network import MessagePolicy, Prior, policy_arguments
from slowfast_rl.fast.uplift import UpliftRanker
from slowfast_rl.members.arrays import Float32, Int8, Int32, Int64
from slowfast_rl.members.observations import bounds, opportunity_features, weekly_features
from slowfast_rl.members.population import Population
from slowfast_rl.members.random import Domain, ExplorationStream, random_words
from slowfast_rl.members.state import Week
from slowfast_rl.members.world import World
from slowfast_rl.policies.budget import Budget, Progress, check_budget
from slowfast_rl.policies.plan_exchange import Planner, PlanSource
from slowfast_rl.policies.settings import check_settings, check_weights
from slowfast_rl.policies.stepwise import StepwiseExecutor
from slowfast_rl.store import UNIFORM_SHAPE, InMemoryFeatureStore

_ENDLESS = 2**62  # steps, where CPU time is the budget
_SIGNAL_SHARE = 64  # one row in so many gives its signals at a slot


class PPOExecutor:
    """A fast policy by proximal policy optimisation on ``Messaging-v0`` (Schulman et al. 2017).

    It begins as what it is given: sends with the exact pacer's chance (without a plan, at a
    constant rate), and then the candidate of the greatest predicted effect; a network learns a
    correction of these logits. Among candidates it picks the best, whether to send is drawn.

    Args:
        ranker: the causal model that it begins with; None for none, all candidates alike.
        planned: reads plans and keeps their caps; False sees and obeys none.
        send_share: of opportunities that it sends at first, without a plan.
        num_envs: members played in parallel.
        weeks: length of an episode (weeks).
        n_steps: opportunities a member plays between updates.
        batch_size: opportunities in a gradient step.
        n_epochs: passes over a rollout.
        learning_rate: Adam's.
        gae_lambda: 1 keeps the Monte Carlo return of a rollout; a bootstrapped value over partially
            observed members says "send less" where Monte Carlo says "send more".
        ent_coef: weight of the entropy bonus.
        hidden: width of the nets.
        device: "cpu" or "cuda"; the CPU where there is no GPU.

    Raises:
        ValueError: a setting is of the wrong type or outside what is allowed.
    """

    name = "ppo"

    def __init__(
        self,
        ranker: UpliftRanker | None = None,
        *,
        planned: bool = True,
        send_share: float = 0.2,
        num_envs: int = 1024,
        weeks: int = 56,
        n_steps: int = 320,
        batch_size: int = 16384,
        n_epochs: int = 2,
        learning_rate: float = 5e-4,
        gae_lambda: float = 1.0,
        ent_coef: float = 0.0,
        hidden: int = 64,
        device: str = "cpu",
    ) -> None:
        if type(planned) is not bool:
            raise ValueError(f"planned is {planned!r}; allowed is true or false")
        if type(send_share) not in (int, float) or not 0 < send_share < 1:
            raise ValueError(f"send_share is {send_share!r}; allowed is between 0 and 1")
        self.ranker, self.planned, self.send_share = ranker, planned, send_share
        self.settings: dict[str, Any] = {
            "num_envs": num_envs, "weeks": weeks, "n_steps": n_steps, "batch_size": batch_size,
            "n_epochs": n_epochs, "learning_rate": learning_rate, "gae_lambda": gae_lambda,
            "ent_coef": ent_coef, "hidden": hidden, "device": device,
        }  # fmt: skip
        check_settings(self.settings)
        self.opportunities = 0  # of the budget, played in the last training
        self.opportunities_before = 0  # played before, to bring members to all ages
        self.cpu_seconds = 0.0  # spent in the last training
        self.policy: MessagePolicy | None = None

    def learn(
        self,
        world: World,
        planner: Planner | None = None,
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
        self.opportunities_before = s["num_envs"] * (s["weeks"] - 1) * world.slots_per_week
        discount = world.reward.weekly_discount ** (1 / world.slots_per_week)
        model = PPO(
            MessagePolicy,
            VecNormalize(StaggeredVecEnv(env), norm_obs=False, gamma=discount),
            gamma=discount,
            seed=seed,
            policy_kwargs=policy_arguments(self._prior(world), observations, s["hidden"]),
            **{k: v for k, v in s.items() if k not in ("num_envs", "weeks", "hidden")},
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

    def untrained(self, world: World, planner: Planner | None = None, seed: int = 0) -> Self:
        """Give this policy the very weights that training begins with."""
        _, observations = self._begin(world, planner, seed)
        self.policy = self._network(world, observations, seed)
        return self

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

    def run_week(
        self,
        population: Population,
        target: Int32,
        cap: Int32 | None = None,
        shape: Int32 | int = UNIFORM_SHAPE,
    ) -> Week:
        """Live through one week; see :class:`~slowfast_rl.policies.stepwise.StepwiseExecutor`."""
        stepwise = StepwiseExecutor(self, planned=self.planned)
        return stepwise.run_week(population, target, cap, shape)

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return settings that JSON can hold, and a copy of the network's arrays.

        Raises:
            RuntimeError: the policy has not learned yet.
        """
        arrays = {k: v.cpu().numpy().copy() for k, v in self._trained().state_dict().items()}
        ranker = None if self.ranker is None else self.ranker.state()
        own = {"ranker": ranker, "planned": self.planned, "send_share": self.send_share}
        return self.settings | own, arrays

    @classmethod
    def from_state(
        cls, world: World, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> Self:
        """Rebuild a policy from :meth:`state`.

        Raises:
            ValueError: settings or arrays are not those of a policy of this world.
        """
        known = sorted([*cls().settings, "ranker", "planned", "send_share"])
        if sorted(settings) != known:
            raise ValueError(f"executor settings are {sorted(settings)}; allowed: {known}")
        ranker = settings["ranker"]
        executor = cls(
            **{k: v for k, v in settings.items() if k != "ranker"},
            ranker=None if ranker is None else UpliftRanker.from_state(ranker),
        )
        width = len(weekly_features(world) + opportunity_features(world))
        policy = executor._network(world, np.zeros((1, width), np.float32), 0)
        check_weights(arrays, policy.state_dict())
        policy.load_state_dict({k: torch.as_tensor(v) for k, v in arrays.items()})
        executor.policy = policy
        return executor

    def _trained(self) -> MessagePolicy:
        if self.policy is None:
            raise RuntimeError("the executor has no network; call learn or from_state first")
        return self.policy

    def _prior(self, world: World) -> Prior:
        return Prior(world, None if self.ranker is None else self.ranker.weights, self.send_share)

    def _begin(
        self, world: World, planner: Planner | None, seed: int
    ) -> tuple[MessagingVectorEnv, Float32]:
        """Return members of all ages under random actions, and signals that they met, [B, F]."""
        env = MessagingVectorEnv(
            self.settings["num_envs"],
            world,
            plan_source=None if planner is None else PlanSource(planner, InMemoryFeatureStore()),
            weeks=self.settings["weeks"],
            population_seed=seed,
            luck_seed=seed,
        )
        observations, _ = env.reset(seed=seed)
        rows, met = np.arange(env.num_envs), [observations[::_SIGNAL_SHARE]]
        for time in range((env.weeks - 1) * world.slots_per_week):
            times = np.full(len(rows), time)
            words = random_words(
                seed, ExplorationStream.WARM_UP_SENDS, rows, times, Domain.EXPLORATION
            )
            send = words / 2**32 < self.send_share
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
                lambda _: float(self.settings["learning_rate"]),
                **policy_arguments(self._prior(world), observations, self.settings["hidden"]),
            )
        return policy.to(get_device(self.settings["device"]))
