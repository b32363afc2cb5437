"""Bring the rows of an environment to all ages of an episode, before a learner trains on it."""

from collections.abc import Callable, Iterator

import numpy as np

from slowfast_rl.envs.base import MemberVectorEnv
from slowfast_rl.members.arrays import Float32, Int64


def stagger(env: MemberVectorEnv, seed: int, choose: Callable[[int], Int64]) -> Iterator[Float32]:
    """Play the longest age that rows will have, and yield the observations, [N, F], as they come.

    Row i begins its second episode after 1 + i modulo ``env.weeks`` weeks. The first observations
    are those of the reset, and each step has its own; use them all, so that all steps are played.

    Args:
        env: the environment; its rows go through their first episode.
        seed: of its reset.
        choose: returns the actions [N] of a step, given its number.
    """
    observations, _ = env.reset(seed=seed)
    yield observations
    rows, per_week = np.arange(env.num_envs), env.steps_per_week
    for step in range((env.weeks - 1) * per_week):
        observations = env.step(choose(step))[0]
        if (step + 1) % per_week == 0:
            env.restart(rows[rows % env.weeks == step // per_week])
            observations = env.observe()
        yield observations
