"""Planners that only tests use."""

from collections import Counter

import numpy as np

from slowfast_rl.members.arrays import Int64
from slowfast_rl.members.world import World
from slowfast_rl.policies.contracts import BasePlanner, PlanRequest


class VariedPlanner(BasePlanner):
    """A plan that differs by member and week, feasible or not; notes whom it was asked for."""

    name = "varied"

    def __init__(self, world: World, policy_version: int = 0) -> None:
        super().__init__()
        self.world, self.policy_version = world, policy_version
        self.asked: Counter[tuple[int, int]] = Counter()

    def choose(self, entity_ids: Int64, weeks: Int64) -> Int64:
        """Return the plan's index for each of B members, [B]."""
        return (31 * entity_ids + 17 * weeks) % len(self.world.plans)

    def plan(self, request: PlanRequest) -> Int64:
        """Return the plan's index for each of B members, [B]."""
        self.asked.update(zip(request.entity_ids.tolist(), request.weeks.tolist(), strict=True))
        return self.choose(request.entity_ids, request.weeks)


class ConstantPlanner(BasePlanner):
    """The same plan for everyone."""

    name, policy_version = "constant", 5

    def __init__(self, world: World, plan: tuple[int, ...]) -> None:
        super().__init__()
        self.index = world.plan_index(plan)

    def plan(self, request: PlanRequest) -> Int64:
        """Return the plan's index for each of B members, [B]."""
        return np.full(len(request.entity_ids), self.index)
