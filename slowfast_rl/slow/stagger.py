"""Members of all ages at once: without it, those of a rollout would all be of the same age."""

import numpy as np

from slowfast_rl.envs.base import MemberVectorEnv
from slowfast_rl.envs.execution import request
from slowfast_rl.envs.sb3 import StaggeredVecEnv
from slowfast_rl.members.arrays import Float32
from slowfast_rl.slow.simple import RandomPlanner

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
        env.step(planner.plan(request(env.population)))
        env.restart(rows[rows % env.weeks == week])
        met.append(env.observe()[(week + 1) % _SIGNAL_SHARE :: _SIGNAL_SHARE])
    return np.concatenate(met)
