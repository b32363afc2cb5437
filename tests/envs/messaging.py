"""Messaging environments, and the plan that their observations show."""

import numpy as np

from slowfast_rl.envs import MessagingVectorEnv
from slowfast_rl.members.arrays import Float32
from slowfast_rl.policies import PlanSource
from slowfast_rl.store import InMemoryFeatureStore
from tests.envs.policies import Columns
from tests.members.worlds import world

N = 30


def with_planner(planner: object, store: object = None, name: str = "eventful", **more: object):
    source = PlanSource(planner, InMemoryFeatureStore() if store is None else store)
    return MessagingVectorEnv(N, world(name), **{"weeks": 3} | more, plan_source=source)


def holds(env: MessagingVectorEnv, slots: int) -> Float32:
    """Hold for some slots; return the last observations."""
    for _ in range(slots):
        observations = env.step(np.zeros(env.num_envs, np.int64))[0]
    return observations


def shown(env: MessagingVectorEnv, observations: Float32) -> list[tuple[int, ...]]:
    """The plan that shows in each row."""
    targets = Columns(env).per_channel(observations, "{}_plan_target").astype(int)
    return [tuple(row) for row in targets.tolist()]


def feasible(env: MessagingVectorEnv, plan: tuple[int, ...]) -> list[tuple[int, ...]]:
    """A plan with 0 on every channel left, per row."""
    return [tuple(np.where(o, plan, 0).tolist()) for o in env.population.opted_in]
