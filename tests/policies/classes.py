"""Classes of a user's own, whole and incomplete."""

import json

from slowfast_rl.policies.component_files import to_node
from slowfast_rl.policies.contracts import BasePlanner, BaseRanker


class NoName(BasePlanner):
    def plan(self, request):
        return request.entity_ids


class NoPlan(BasePlanner):
    name = "no_plan"


class Mine(NoName):
    name = "mine"


def node_of(part, **changes):
    arrays = {}
    return json.loads(json.dumps(to_node(part, "part", arrays))) | changes


class Weighing(BaseRanker):
    name = "weighing"

    @staticmethod
    def score(opportunity, topic, quality, launch, log, weights):
        return weights[0] * quality


class Taken(NoName):
    name = "rollouts"
