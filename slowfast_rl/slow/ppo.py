"""Stable-Baselines3 PPO on weekly options."""

from collections.abc import Callable, Mapping
from time import process_time
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import VecNormalize

from slowfast_rl.envs.base import MemberVectorEnv
from slowfast_rl.envs.execution import Request, request
from slowfast_rl.envs.executor import Executor
from slowfast_rl.envs.pacing import PacingVectorEnv
from slowfast_rl.envs.sb3 import SB3VecEnv
from slowfast_rl.members.arrays import Float32, Int64
from slowfast_rl.members.signals import week_features
from slowfast_rl.members.world import World
from slowfast_rl.slow.network import PlanPolicy, SignalExtractor
from slowfast_rl.slow.simple import RandomPlanner

Progress = Callable[[int], None]


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
        device: "cpu" or "cuda".
    """

    def __init__(
        self,
        num_envs: int = 2048,
        weeks: int = 112,
        n_steps: int = 32,
        batch_size: int = 8192,
        n_epochs: int = 4,
        learning_rate: float = 1e-3,
        gae_lambda: float = 1.0,
        ent_coef: float = 0.003,
        hidden: int = 128,
        device: str = "cpu",
    ) -> None:
        if weeks < 1 or num_envs < 1 or n_steps < 1:
            raise ValueError(
                f"num_envs, weeks, n_steps are {num_envs}, {weeks}, {n_steps}; allowed is 1 or more"
            )
        self.settings: dict[str, Any] = {
            "num_envs": num_envs, "weeks": weeks, "n_steps": n_steps, "batch_size": batch_size,
            "n_epochs": n_epochs, "learning_rate": learning_rate, "gae_lambda": gae_lambda,
            "ent_coef": ent_coef, "hidden": hidden, "device": device,
        }  # fmt: skip
        self.policy_version = 0
        self.opportunities = 0  # played in training
        self.policy: PlanPolicy | None = None

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
        """Train on members of population ``seed``.

        Args:
            world: the world.
            executor: the fast policy that executes the plans; None for the default.
            total_opportunities: send opportunities to play; reproducible bit for bit.
            total_cpu_seconds: CPU time to spend instead.
            seed: of population, luck, exploration and weights.
            logger: where SB3's metrics go; None for nowhere.
            progress: called with the opportunities played so far, after each rollout.

        Raises:
            ValueError: not exactly one budget is given.
        """
        if (total_opportunities is None) == (total_cpu_seconds is None):
            raise ValueError(
                f"total_opportunities is {total_opportunities} and total_cpu_seconds is "
                f"{total_cpu_seconds}; exactly one of them is needed"
            )
        s = self.settings
        env = PacingVectorEnv(
            s["num_envs"],
            world,
            s["weeks"],
            executor=executor,
            population_seed=seed,
            luck_seed=seed,
        )
        signals = stagger(env, seed)
        venv = VecNormalize(
            StaggeredVecEnv(env), norm_obs=False, gamma=world.reward.weekly_discount
        )
        model = PPO(
            PlanPolicy,
            venv,
            gamma=world.reward.weekly_discount,
            seed=seed,
            policy_kwargs=policy_arguments(world, signals, s["hidden"]),
            **{k: v for k, v in s.items() if k not in ("num_envs", "weeks", "hidden")},
        )
        model.set_logger(logger or Logger(None, []))
        self.policy = model.policy  # type: ignore[assignment]  # progress may evaluate it
        budget = _Budget(world.slots_per_week, total_opportunities, total_cpu_seconds, progress)
        steps = (
            2**62 if total_opportunities is None else total_opportunities // world.slots_per_week
        )
        model.learn(max(steps, 1), callback=budget, reset_num_timesteps=True)
        self.policy_version += 1
        self.opportunities += int(model.num_timesteps) * world.slots_per_week
        return self

    def untrained(self, world: World, seed: int = 0) -> Self:
        """Give this planner a network with random weights, as training begins with."""
        env = PacingVectorEnv(
            64, world, self.settings["weeks"], population_seed=seed, luck_seed=seed
        )
        signals = stagger(env, seed)
        torch.manual_seed(seed)
        self.policy = self._network(world, signals)
        return self

    def plan(self, request: Request) -> Int64:
        """Return the plan nearest to the expected sends, for each of B members, [B].

        Raises:
            RuntimeError: the planner has not learned yet.
        """
        if self.policy is None:
            raise RuntimeError("the planner has no network; call learn or load first")
        self.policy.set_training_mode(False)
        with torch.no_grad():
            observations = torch.as_tensor(request.signals, device=self.policy.device)
            chosen = self.policy._predict(observations, deterministic=True)
        return np.asarray(chosen.cpu().numpy(), np.int64)

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return settings that JSON can hold, and the network's arrays."""
        if self.policy is None:
            raise RuntimeError("the planner has no network; call learn or load first")
        arrays = {k: v.cpu().numpy() for k, v in self.policy.state_dict().items()}
        return self.settings | {"policy_version": self.policy_version}, arrays

    @classmethod
    def from_state(
        cls, world: World, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> Self:
        """Rebuild a planner from :meth:`state`."""
        arguments = dict(settings)
        version = int(arguments.pop("policy_version"))
        planner = cls(**arguments)
        planner.policy = planner._network(
            world, np.zeros((1, len(week_features(world))), np.float32)
        )
        planner.policy.load_state_dict({k: torch.as_tensor(v) for k, v in arrays.items()})
        planner.policy_version = version
        return planner

    def _network(self, world: World, signals: Float32) -> PlanPolicy:
        env = PacingVectorEnv(1, world)
        return PlanPolicy(
            env.single_observation_space,
            env.single_action_space,
            lambda _: float(self.settings["learning_rate"]),
            **policy_arguments(world, signals, self.settings["hidden"]),
        )


def policy_arguments(world: World, signals: Float32, hidden: int) -> dict[str, Any]:
    """Return what :class:`PlanPolicy` needs to know of a world and of typical signals [B, F]."""
    names = [feature.name for feature in week_features(world)]
    plans = world.plans.tolist()
    return {
        "plans": plans,
        "hidden": hidden,
        "features_extractor_class": SignalExtractor,
        "features_extractor_kwargs": {
            "centre": signals.mean(axis=0),
            "scale": np.maximum(signals.std(axis=0), 0.01),
            "plans": plans,
            "opt_in_columns": [names.index(f"{channel}_opted_in") for channel in world.channels],
        },
    }


def stagger(env: MemberVectorEnv, seed: int) -> Float32:
    """Bring rows to all ages of an episode under random plans, and return signals met [B, F].

    Without it all members of a rollout would be of the same age.
    """
    env.reset(seed=seed)
    planner = RandomPlanner(seed)
    rows = np.arange(env.num_envs)
    met = []
    for week in range(env.weeks - 1):
        asked = request(env.population)
        met.append(asked.signals[week % 8 :: 8])
        env.step(planner.plan(asked))
        env.restart(rows[rows % env.weeks == week])
    return np.concatenate(met) if met else request(env.population).signals


class StaggeredVecEnv(SB3VecEnv):
    """An environment that goes on from where it is at the first reset."""

    def reset(self) -> Float32:
        """Return current observations."""
        return self.env.observe()


class _Budget(BaseCallback):
    """Stops training when the budget is spent, and reports progress."""

    def __init__(
        self,
        slots_per_week: int,
        opportunities: int | None,
        cpu_seconds: float | None,
        progress: Progress | None,
    ) -> None:
        super().__init__()
        self._slots, self._opportunities, self._cpu = slots_per_week, opportunities, cpu_seconds
        self._progress, self._start = progress, process_time()

    def _on_rollout_start(self) -> None:
        if self._progress is not None:
            self._progress(self.num_timesteps * self._slots)

    def _on_step(self) -> bool:
        return self._cpu is None or process_time() - self._start < self._cpu
