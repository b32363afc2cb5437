"""Two services, one store between them, and a planner and an executor for both."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from slowfast_rl.fast import BidPricePacer, PacedExecutor, QualityRanker
from slowfast_rl.members.population import Population
from slowfast_rl.members.world import World
from slowfast_rl.policies.contracts import BasePlanner
from slowfast_rl.services.planner import PlanningService
from slowfast_rl.services.simulation import SimulationService
from slowfast_rl.slow import RandomPlanner
from slowfast_rl.store import FeatureStore, InMemoryFeatureStore, StoreUnavailableError

MEMBERS, LUCK = 60, 5


class Pair:
    """Both sides on one store; `planner_is_up` may be told to fail by time."""

    def __init__(
        self,
        world: World,
        store: FeatureStore | None = None,
        *,
        planner: BasePlanner | None = None,
        executor: PacedExecutor | None = None,
        folder: Path | None = None,
        first_week: int = 0,
    ) -> None:
        self.world = world
        self.store: FeatureStore = InMemoryFeatureStore() if store is None else store
        self.planner = planner or RandomPlanner(3)
        self.executor = executor or some_executor(world)
        self.population = Population(world, MEMBERS, 0, LUCK)
        self.folder = folder
        self.planning = self.new_planning()
        self.simulation_service = SimulationService(
            self.population, self.executor, self.store, LUCK, folder
        )
        self.look: Callable[[], object] = self.planner_looks
        self.decisions: list[dict[str, Any]] = []

    def new_planning(self, planner: BasePlanner | None = None) -> PlanningService:
        """A planner process that was just started."""
        ids = np.arange(MEMBERS)
        return PlanningService(self.world, planner or self.planner, self.store, ids)

    def planner_looks(self) -> object:
        """What the planner does before every opportunity; `look` may be another."""
        return self.planning.plan_if_due()

    def live(
        self, days: int, before: Callable[[int], None] | None = None, planner_is_up: bool = True
    ) -> None:
        """Live some days; ``before`` is told the time before anything happens at it."""

        def until(now: int) -> None:
            if before is not None:
                before(now)
            if planner_is_up:
                with suppress(StoreUnavailableError):
                    self.look()

        for _ in range(days):
            self.decisions += self.simulation_service.simulate_day(until)

    def column(self, name: str) -> np.ndarray:
        return np.concatenate([decision[name] for decision in self.decisions])

    def assert_guarded(self) -> None:
        """Nobody got more than the cap of the plan in force, nobody who had left a channel."""
        sent = self.column("action") > 0
        assert sent.any()
        assert (self.column("sent_this_week") < self.column("cap"))[sent].all()
        assert self.column("opted_in")[sent].all()


def some_executor(world: World) -> PacedExecutor:
    law = [-1.0, -0.5, 0.0, 0.3, 0.8, 1.5]
    return PacedExecutor(BidPricePacer.with_quantiles([law] * len(world.channels)), QualityRanker())
