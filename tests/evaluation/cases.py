"""Small cases of the evaluation protocol, and their references."""

from dataclasses import replace
from functools import cache

import numpy as np

from slowfast_rl.evaluation import EvaluationProtocol, Twins, compute_references
from slowfast_rl.members.world import World
from slowfast_rl.policies.contracts import BasePlanner
from tests.members.worlds import world

TINY = EvaluationProtocol(num_members=32, weeks=6, burn_in=2, streams=(0, 1))


@cache
def small_world(name: str = "pronounced") -> World:
    """A world of six plans."""
    return replace(world(name), menu=((0, 2, 5), (0, 1)))


@cache
def twins(name: str = "pronounced", protocol: EvaluationProtocol = TINY) -> Twins:
    """Twins, made once."""
    return Twins(small_world(name), protocol)


@cache
def references(name: str = "pronounced", protocol: EvaluationProtocol = TINY):
    """References, computed once."""
    return compute_references(small_world(name), protocol, workers=1)


class AlternatingPlanner(BasePlanner):
    """The first plan in even weeks, the last feasible one in odd weeks."""

    name = "alternating"
    policy_version = 1

    def plan(self, request):
        last = request.feasible.shape[1] - 1 - np.argmax(request.feasible[:, ::-1], axis=1)
        return np.where(request.weeks % 2 == 0, 0, last)
