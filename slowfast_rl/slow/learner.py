"""What every planner that learns has in common."""

from collections.abc import Mapping
from typing import Any, Protocol, Self, runtime_checkable

from numpy.typing import NDArray
from stable_baselines3.common.logger import Logger

from slowfast_rl.members.world import World
from slowfast_rl.policies.budget import Progress
from slowfast_rl.policies.executor import Executor
from slowfast_rl.policies.plan_exchange import Planner


@runtime_checkable
class SavedPlanner(Planner, Protocol):
    """A planner that can be written to disk."""

    name: str

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return settings that JSON can hold, and arrays."""
        ...

    @classmethod
    def from_state(
        cls, world: World, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> Self:
        """Rebuild a planner from :meth:`state`; ValueError if it is not of this world."""
        ...


@runtime_checkable
class FittedPlanner(SavedPlanner, Protocol):
    """A planner that learns from as much as its own settings say."""

    settings: dict[str, Any]
    opportunities: int  # played in the last training
    cpu_seconds: float  # of the last training

    def learn(
        self,
        world: World,
        executor: Executor | None = None,
        *,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Self:
        """Train from the start on members of population ``seed``."""
        ...


@runtime_checkable
class LearningPlanner(SavedPlanner, Protocol):
    """A planner that learns by playing, for as long as it is given."""

    settings: dict[str, Any]
    opportunities: int  # of the budget, played in the last training
    opportunities_before: int  # played before, for set-up
    cpu_seconds: float  # of the last training

    def learn(
        self,
        world: World,
        executor: Executor | None = None,
        *,
        total_opportunities: int | None = None,
        total_cpu_seconds: float | None = None,
        seed: int = 0,
        logger: Logger | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Train from the start on members of population ``seed``."""
        ...

    def untrained(self, world: World, seed: int = 0, executor: Executor | None = None) -> Self:
        """Become what training begins with."""
        ...
