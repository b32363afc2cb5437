"""Stable-Baselines3 PPO on weekly options."""

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

from slowfast_rl.envs.base import MemberVectorEnv
from slowfast_rl.envs.pacing import PacingVectorEnv
from slowfast_rl.envs.sb3 import StaggeredVecEnv
from slowfast_rl.members.arrays import Float32, Int64
from slowfast_rl.members.beliefs import BeliefFilter
from slowfast_rl.members.observations import Feature, bounds, weekly_features
from slowfast_rl.members.world import World
from slowfast_rl.policies.budget import Budget, Progress, check_budget
from slowfast_rl.policies.executor import Executor
from slowfast_rl.policies.plan_exchange import PlanRequest, plan_request
from slowfast_rl.policies.settings import check_settings, check_weights, split_version
from slowfast_rl.slow.ppo_network import ObservationExtractor, PlanPolicy
from slowfast_rl.slow.simple import RandomPlanner

_LEAST_SCALE = 0.01  # signals that hardly vary are not blown up
_OWN = ("num_envs", "weeks", "hidden", "beliefs")  # settings that are not SB3's
_ENDLESS = 2**62  # steps, where CPU time is the budget


class PPOPlanner:
    """Plans by proximal policy optimisation over weekly options (Schulman et al. 2017).

    Options have a fixed length, so one discount, .98 a week, serves.

    Args:
        num_envs: members played in parallel.
        weeks: length of an episode (weeks).
        n_steps: weeks a member plays between updates.
        batch_size: weeks in a gradient step.
        n_epochs: passes over a rollout.
        learning_rate: Adam's.
        gae_lambda: 1 keeps the Monte Carlo return; a bootstrapped value over partially observed
            members says "send less" where Monte Carlo says "send more".
        ent_coef: weight of the entropy bonus.
        hidden: width of the nets.
        beliefs: whether signals include the belief filter's, under the world's own parameters.
        device: "cpu" or "cuda"; the CPU where there is no GPU.

    Raises:
        ValueError: a setting is of the wrong type or outside what is allowed.
    """

    name = "ppo"

    def __init__(
        self,
        num_envs: int = 2048,
        weeks: int = 112,
        n_steps: int = 32,
        batch_size: int = 8192,
        n_epochs: int = 2,
        learning_rate: float = 1e-3,
        gae_lambda: float = 1.0,
        ent_coef: float = 0.0,
        hidden: int = 64,
        beliefs: bool = True,
        device: str = "cpu",
    ) -> None:
        self.settings: dict[str, Any] = {
            "num_envs": num_envs, "weeks": weeks, "n_steps": n_steps, "batch_size": batch_size,
            "n_epochs": n_epochs, "learning_rate": learning_rate, "gae_lambda": gae_lambda,
            "ent_coef": ent_coef, "hidden": hidden, "beliefs": beliefs,
            "device": device,
        }  # fmt: skip
        check_settings(self.settings)
        self.policy_version = 0  # how often it was trained
        self.opportunities = 0  # of the budget, played in the last training
        self.opportunities_before = 0  # played before, to bring members to all ages
        self.cpu_seconds = 0.0  # spent in the last training
        self.policy: PlanPolicy | None = None
        self.belief_filter: BeliefFilter | None = None
        self.privileged = False

    def learn(
        self,
        world: World,
        executor: Executor | None = None,
        *,
        total_opportunities: int | None = None,
        total_cpu_seconds: float | None = None,
        seed: int = 0,
        logger: Logger | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Train on members of population ``seed``, from new weights: what was learned is lost.

        Seeds the global generators of Python, numpy and torch, as Stable-Baselines3 does.

        Args:
            world: the world.
            executor: the fast policy that executes the plans; None for the default.
            total_opportunities: send opportunities to play, rounded up to whole rollouts;
                reproducible bit for bit.
            total_cpu_seconds: CPU time to spend instead, set-up and ``progress`` not counted.
            seed: of population, luck, exploration and weights, 0 to 2^32 - 1.
            logger: where SB3's metrics go; None for nowhere.
            progress: called before each rollout with the opportunities played so far.

        Raises:
            ValueError: not exactly one budget above 0 is given.
        """
        check_budget(total_opportunities, total_cpu_seconds)
        start, s = process_time(), self.settings
        env, observations = self._begin(world, executor, seed)
        self.opportunities_before = s["num_envs"] * (s["weeks"] - 1) * world.slots_per_week
        model = PPO(
            PlanPolicy,
            VecNormalize(StaggeredVecEnv(env), norm_obs=False, gamma=world.reward.weekly_discount),
            gamma=world.reward.weekly_discount,
            seed=seed,
            policy_kwargs=policy_arguments(world, observations, s["hidden"]),
            **{k: v for k, v in s.items() if k not in _OWN},
        )
        model.set_logger(logger or Logger(None, []))
        assert isinstance(model.policy, PlanPolicy)
        self.policy = model.policy  # now, so that progress can evaluate it
        self.policy_version += 1
        slots = world.slots_per_week

        def report(weeks: int) -> None:
            self.opportunities = weeks * slots
            self.cpu_seconds = budget.spent + set_up
            if progress is not None:
                progress(self.opportunities)

        set_up = process_time() - start
        budget = Budget(seed, total_cpu_seconds, report)
        model.learn(-(-total_opportunities // slots) if total_opportunities else _ENDLESS, budget)
        self.opportunities = int(model.num_timesteps) * slots
        self.cpu_seconds = budget.spent + set_up
        return self

    def untrained(self, world: World, seed: int = 0, executor: Executor | None = None) -> Self:
        """Give this planner the very weights that training begins with."""
        _, observations = self._begin(world, executor, seed)
        self.policy = self._network(world, observations, seed)
        return self

    def plan(self, request: PlanRequest) -> Int64:
        """Return the plan nearest to the expected sends, for each of B members, [B].

        Raises:
            RuntimeError: the planner has not learned yet.
        """
        policy = self._trained()
        policy.set_training_mode(False)
        with torch.no_grad():
            observations = torch.as_tensor(self._observations(request), device=policy.device)
            chosen = policy.get_distribution(observations).mode()
        return chosen.cpu().numpy().astype(np.int64)

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return settings that JSON can hold, and a copy of the network's arrays.

        Raises:
            RuntimeError: the planner has not learned yet.
        """
        arrays = {k: v.cpu().numpy().copy() for k, v in self._trained().state_dict().items()}
        return self.settings | {"policy_version": self.policy_version}, arrays

    @classmethod
    def from_state(
        cls, world: World, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> Self:
        """Rebuild a planner from :meth:`state`.

        Raises:
            ValueError: settings or arrays are not those of a planner of this world.
        """
        own, version = split_version(settings, cls().settings)
        planner = cls(**own)
        planner._believe(world)
        observations = np.zeros((1, len(planner._features(world))), np.float32)
        policy = planner._network(world, observations, 0)
        check_weights(arrays, policy.state_dict())
        policy.load_state_dict({k: torch.as_tensor(v) for k, v in arrays.items()})
        planner.policy, planner.policy_version = policy, version
        return planner

    def _believe(self, world: World) -> None:
        self.belief_filter = BeliefFilter(world) if self.settings["beliefs"] else None

    def _features(self, world: World) -> tuple[Feature, ...]:
        return weekly_features(world) + (self.belief_filter.features if self.belief_filter else ())

    def _observations(self, request: PlanRequest) -> Float32:
        """Return all that the network sees, [B, F]."""
        if self.belief_filter is None:
            return request.observations
        if request.beliefs is None:
            raise ValueError("the request lacks beliefs that the planner needs")
        return np.concatenate([request.observations, request.beliefs], axis=1)

    def _trained(self) -> PlanPolicy:
        if self.policy is None:
            raise RuntimeError("the planner has no network; call learn or load first")
        return self.policy

    def _begin(
        self, world: World, executor: Executor | None, seed: int
    ) -> tuple[PacingVectorEnv, Float32]:
        """Return members of all ages and signals that they met, [B, F]."""
        self._believe(world)
        env = PacingVectorEnv(
            self.settings["num_envs"],
            world,
            weeks=self.settings["weeks"],
            executor=executor,
            beliefs=self.settings["beliefs"],
            population_seed=seed,
            luck_seed=seed,
        )
        return env, stagger(env, seed)

    def _network(self, world: World, observations: Float32, seed: int) -> PlanPolicy:
        """Return a new network; the caller's random numbers stay as they are."""
        low, high = bounds(self._features(world))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            policy = PlanPolicy(
                spaces.Box(low, high, dtype=np.float32),
                spaces.Discrete(len(world.plans)),
                lambda _: float(self.settings["learning_rate"]),
                **policy_arguments(world, observations, self.settings["hidden"]),
            )
        return policy.to(get_device(self.settings["device"]))


def policy_arguments(world: World, observations: Float32, hidden: int) -> dict[str, Any]:
    """Return what :class:`PlanPolicy` needs to know of a world and of typical signals [B, F]."""
    names = [feature.name for feature in weekly_features(world)]
    plans = world.plans.tolist()
    return {
        "plans": plans,
        "num_shapes": len(world.shape_names),
        "hidden": hidden,
        "features_extractor_class": ObservationExtractor,
        "features_extractor_kwargs": {
            "centre": observations.mean(axis=0),
            "scale": np.maximum(observations.std(axis=0), _LEAST_SCALE),
            "plans": plans,
            "opt_in_columns": [names.index(f"{channel}_opted_in") for channel in world.channels],
        },
    }


__all__ = ["StaggeredVecEnv", "stagger"]

_SIGNAL_SHARE = 8  # one member in so many gives its signals each week


def stagger(env: MemberVectorEnv, seed: int) -> Float32:
    """Bring rows to all ages of an episode under random plans, and return signals met [B, F].

    Args:
        env: options of one week; its rows go through their first episode.
        seed: of luck and plans.
    """
    env.reset(seed=seed)
    planner = RandomPlanner(seed)
    rows = np.arange(env.num_envs)
    met = [env.observe()[::_SIGNAL_SHARE]]
    for week in range(env.weeks - 1):
        env.step(planner.plan(plan_request(env.population)))
        env.restart(rows[rows % env.weeks == week])
        met.append(env.observe()[(week + 1) % _SIGNAL_SHARE :: _SIGNAL_SHARE])
    return np.concatenate(met)
