"""Agents without a planner: one policy decides at every opportunity, and nothing caps it."""

from typing import Protocol

import numpy as np

from slowfast_rl.members.arrays import Bool, Float32, Int32
from slowfast_rl.members.population import Population
from slowfast_rl.members.state import Week
from slowfast_rl.members.world import World
from slowfast_rl.policies.columns import columns, opted_in_columns
from slowfast_rl.policies.executor import Executor
from slowfast_rl.policies.guard import NO_CAP
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


def may_send(world: World, obs: Float32) -> Bool:
    """Return who has not left the channel of its opportunity, [B].

    Args:
        world: the world.
        obs: [B, F] observations of ``Messaging-v0``.

    Raises:
        ValueError: observations of another shape.
    """
    column = columns(world)
    if obs.ndim != 2 or obs.shape[1] != len(column):
        raise ValueError(f"obs has shape {obs.shape}; allowed is (B, {len(column)})")
    here = obs[:, [column[f"slot_is_{c}"] for c in world.channels]]
    return np.asarray((here * obs[:, opted_in_columns(world)]).sum(axis=1) > 0.5)
