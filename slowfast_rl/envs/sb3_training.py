"""Stable-Baselines3's PPO on members of all ages, within a budget."""

from collections import deque
from collections.abc import Callable, Mapping
from math import isfinite, nan
from typing import Any, cast

import numpy as np
import torch as th
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.utils import set_random_seed
from stable_baselines3.common.vec_env import VecNormalize

from slowfast_rl.envs.base import MemberVectorEnv
from slowfast_rl.envs.sb3 import StaggeredVecEnv
from slowfast_rl.members.random import Domain, ExplorationStream, random_words
from slowfast_rl.policies.budget import Progress, Stopwatch
from slowfast_rl.policies.checkpoint import Checkpoint
from slowfast_rl.policies.component import LossNotFiniteError, State
from slowfast_rl.policies.ppo import sb3_arguments
from slowfast_rl.policies.weights import check_weights


def ppo_model(
    policy: type[ActorCriticPolicy],
    env: MemberVectorEnv,
    settings: Any,
    *,
    discount: float,
    seed: int,
    policy_arguments: dict[str, Any],
    logger: Logger | None,
) -> "ResumablePPO":
    """Return PPO with new weights, which plays on where the environment's episodes are.

    Args:
        policy: the class of the network.
        env: members of all ages.
        settings: of the planner or executor that learns.
        discount: of one step.
        seed: of weights and exploration.
        policy_arguments: what the network takes besides Stable-Baselines3's own arguments.
        logger: where SB3's metrics go; None for nowhere.
    """
    model = ResumablePPO(
        policy,
        VecNormalize(StaggeredVecEnv(env), norm_obs=False, gamma=discount),
        gamma=discount,
        seed=seed,
        policy_kwargs=policy_arguments,
        **sb3_arguments(settings, env.num_envs),
    )
    model.set_logger(logger or Logger(None, []))
    return model


class ResumablePPO(PPO):
    """PPO that can be stopped between two rollouts, and that counts iterations over all of them."""

    def dump_logs(self, iteration: int = 0) -> None:
        """Write the metrics of a rollout; iterations before a stop count too."""
        super().dump_logs(self.num_timesteps // (self.n_envs * self.n_steps))

    def train(self) -> None:
        """Update the policy from a rollout.

        Raises:
            LossNotFiniteError: the loss is NaN or infinite.
        """
        try:
            super().train()
            loss = float(self.logger.name_to_value["train/loss"])
        except ValueError:  # torch's distributions refuse the NaN of a net after such a step
            if all(bool(weights.isfinite().all()) for weights in self.policy.parameters()):
                raise
            loss = nan
        if not isfinite(loss):
            names = ("observations", "actions", "rewards", "advantages", "returns")
            raise LossNotFiniteError(loss, {n: getattr(self.rollout_buffer, n) for n in names})

    def snapshot(self) -> State:
        """Return a copy of all that the training between two rollouts consists of.

        Random numbers are not part of it, because :class:`Budget` draws them for each rollout.
        """
        rewards, logger = cast(VecNormalize, self.env), self.logger
        moments = self.policy.optimizer.state_dict()["state"]
        return {
            "policy": _arrays(self.policy.state_dict()),
            "optimizer": {str(i): _arrays(moment) for i, moment in moments.items()},
            "num_timesteps": self.num_timesteps,
            "updates": self._n_updates,
            "episode_starts": np.array(self._last_episode_starts),
            "episodes": list(self.ep_info_buffer or ()),
            "rewards": {
                "mean": np.array(rewards.ret_rms.mean),
                "var": np.array(rewards.ret_rms.var),
                "count": rewards.ret_rms.count,
                "returns": rewards.returns.copy(),
            },
            "log": [  # of the last update, written with the next rollout
                dict(logger.name_to_value),
                dict(logger.name_to_count),
                dict(logger.name_to_excluded),
            ],
            "env": cast(StaggeredVecEnv, rewards.venv).snapshot(),
        }

    def restore(self, state: State) -> None:
        """Continue where another training was; see :meth:`snapshot`."""
        rewards, logger = cast(VecNormalize, self.env), self.logger
        cast(StaggeredVecEnv, rewards.venv).restore(state["env"])
        check_weights(state["policy"], self.policy.state_dict())
        self.policy.load_state_dict(_tensors(state["policy"]))
        optimizer = self.policy.optimizer.state_dict()
        optimizer["state"] = {int(i): _tensors(m) for i, m in state["optimizer"].items()}
        self.policy.optimizer.load_state_dict(optimizer)
        self.num_timesteps, self._n_updates = state["num_timesteps"], state["updates"]
        self._last_obs = rewards.reset()  # where the environment is: it does not restart
        self._last_episode_starts = state["episode_starts"]
        self.ep_info_buffer = deque(state["episodes"], maxlen=self._stats_window_size)
        self.ep_success_buffer = deque(maxlen=self._stats_window_size)
        for name in ("mean", "var", "count"):
            setattr(rewards.ret_rms, name, state["rewards"][name])
        rewards.returns = state["rewards"]["returns"].copy()
        values, counts, excluded = state["log"]
        logger.name_to_value.update(values)
        logger.name_to_count.update(counts)
        logger.name_to_excluded.update({name: tuple(v) for name, v in excluded.items()})


def train(
    model: ResumablePPO,
    steps: int,
    budget: "Budget",
    checkpoint: Checkpoint | None,
    set_up: Mapping[str, Any],
) -> None:
    """Train until a number of steps in all, from the start or from where it was stopped.

    Args:
        model: the learner.
        steps: steps in all, those before a stop included.
        budget: may end the training before.
        checkpoint: keeps the training between rollouts; None for nowhere.
        set_up: what else to keep, of what came before the first rollout.
    """
    stopped = None if checkpoint is None else checkpoint.state
    if stopped is not None:
        model.restore(stopped["model"])
        budget.resume(model.num_timesteps // (model.n_envs * model.n_steps), stopped["seconds"])
    if checkpoint is not None:
        budget.offer = lambda: checkpoint.offer(
            lambda: {"model": model.snapshot(), "seconds": budget.spent, **set_up}
        )
    model.learn(steps - model.num_timesteps, budget, reset_num_timesteps=stopped is None)
    # SB3 writes an update's metrics with the next rollout; those of the last one would be written
    # with the first rollout of the level's next turn.
    log = model.logger
    for pending in (log.name_to_value, log.name_to_count, log.name_to_excluded):
        pending.clear()


class Budget(BaseCallback):
    """Stops training when its CPU time is spent, and calls ``progress`` before each rollout.

    Every rollout and its updates draw from (seed, rollout) alone, whatever ``progress`` drew.

    Args:
        seed: of the training.
        cpu_seconds: that training may take, those of ``progress`` not counted; None for no limit.
        progress: called with the steps so far.
    """

    def __init__(self, seed: int, cpu_seconds: float | None, progress: Progress) -> None:
        super().__init__()
        self._seed, self._cpu_seconds, self._progress = seed, cpu_seconds, progress
        self._watch, self._rollouts = Stopwatch(), 0
        self._stop = False
        self.offer: Callable[[], None] = lambda: None

    def resume(self, rollouts: int, seconds: float) -> None:
        """Count the rollouts and the CPU seconds of a training that was stopped."""
        self._rollouts, self._watch = rollouts, Stopwatch(seconds)

    @property
    def spent(self) -> float:
        """CPU seconds of training since this was made, those of ``progress`` not counted."""
        return self._watch.spent

    def _on_rollout_start(self) -> None:
        self._watch.call_untimed(self._progress, self.num_timesteps)
        self.offer()
        rollout = np.array([self._rollouts])
        stream, member = ExplorationStream.TRAINING_ROLLOUTS, np.zeros(1, int)
        words = random_words(self._seed, stream, member, rollout, Domain.EXPLORATION)
        set_random_seed(int(words[0]))
        spent = self._cpu_seconds is not None and self.spent >= self._cpu_seconds
        self._stop = (
            spent and self._rollouts > 0
        )  # between rollouts, so that no rollout is discarded
        self._rollouts += 1

    def _on_step(self) -> bool:
        return not self._stop


def _arrays(tensors: Mapping[str, th.Tensor]) -> dict[str, Any]:
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in tensors.items()}


def _tensors(arrays: Mapping[str, Any]) -> dict[str, th.Tensor]:
    return {name: th.as_tensor(array.copy()) for name, array in arrays.items()}
