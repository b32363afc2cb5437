"""Members of all ages at once: without it, those of a rollout would all be of the same age."""

import numpy as np
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

from slowfast_rl.envs.base import MemberVectorEnv
from slowfast_rl.envs.execution import request
from slowfast_rl.envs.sb3 import SB3VecEnv
from slowfast_rl.members.arrays import Float32
from slowfast_rl.slow.simple import RandomPlanner

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


class StaggeredVecEnv(SB3VecEnv):
    """An environment that was begun already: a reset goes on from where it is.

    An episode that began before says nothing of its return: only its rest was seen.
    """

    def __init__(self, env: MemberVectorEnv) -> None:
        super().__init__(env)
        self._begun_before = env.population.weeks > 0  # [N]

    def reset(self) -> Float32:
        """Return current observations."""
        return self.env.observe()

    def step_wait(self) -> VecEnvStepReturn:
        """Take the step."""
        observations, rewards, done, infos = super().step_wait()
        for row in np.flatnonzero(done & self._begun_before):
            del infos[row]["episode"]
        self._begun_before &= ~done
        return observations, rewards, done, infos
