"""Agents without a planner: one policy decides at every opportunity, and nothing caps it."""

from typing import Protocol

import numpy as np

from slowfast_rl.envs.executor import Executor
from slowfast_rl.envs.guard import NO_CAP
from slowfast_rl.members.arrays import Int32
from slowfast_rl.members.population import Population, Week
from slowfast_rl.members.world import World
from slowfast_rl.store import UNIFORM_SHAPE


class SinglePolicyAgent(Protocol):
    """What an evaluation needs of an agent without a planner."""

    name: str
    world: World | None  # that it was trained in
    seed: int
    train_cpu_seconds: float
    train_opportunities: int

    @property
    def executor(self) -> Executor:
        """Return what lives the weeks, whatever the plan."""
        ...


class Unplanned:
    """An executor that ignores plans: it has no cap, and the guard keeps the opt-ins.

    Args:
        executor: what decides.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def run_week(
        self,
        population: Population,
        target: Int32,
        cap: Int32 | None = None,
        shape: Int32 | int = UNIFORM_SHAPE,
    ) -> Week:
        """Live through one week as if nobody had planned it."""
        free = np.full_like(target, NO_CAP)
        return self._executor.run_week(population, free, free, shape)
