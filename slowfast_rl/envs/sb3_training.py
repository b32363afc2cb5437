"""Stable-Baselines3's PPO on members of all ages, within a budget."""

from typing import Any

import numpy as np
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
from slowfast_rl.policies.ppo import sb3_arguments


def ppo_model(
    policy: type[ActorCriticPolicy],
    env: MemberVectorEnv,
    settings: Any,
    *,
    discount: float,
    seed: int,
    policy_arguments: dict[str, Any],
    logger: Logger | None,
) -> PPO:
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
    model = PPO(
        policy,
        VecNormalize(StaggeredVecEnv(env), norm_obs=False, gamma=discount),
        gamma=discount,
        seed=seed,
        policy_kwargs=policy_arguments,
        **sb3_arguments(settings, env.num_envs),
    )
    model.set_logger(logger or Logger(None, []))
    return model


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

    @property
    def spent(self) -> float:
        """CPU seconds of training since this was made, those of ``progress`` not counted."""
        return self._watch.spent

    def _on_rollout_start(self) -> None:
        self._watch.call_untimed(self._progress, self.num_timesteps)
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
