"""Memory of the services: growth of the traced peak with the number of members, at two sizes.

docs/reliability.md says what whole processes take. What grows faster than these limits would be a
second copy of what is kept of every member.
"""

import gc
import json
import tracemalloc
from collections.abc import Callable

import numpy as np

from slowfast_rl.logs import decisions
from slowfast_rl.members.clock import DAY_SECONDS, WEEK_SECONDS
from slowfast_rl.members.observations import opportunity_observation, weekly_observation
from slowfast_rl.members.population import Population
from slowfast_rl.services import planner, simulation, store_clock
from slowfast_rl.services.json_lines import JsonLinesService
from slowfast_rl.services.planner import PlanningService
from slowfast_rl.services.simulation import SimulationService
from slowfast_rl.services.store_clock import publish_observations
from slowfast_rl.store import InMemoryFeatureStore
from tests.members.worlds import world
from tests.policies.test_belief_memory import Listening
from tests.services.services import some_executor

WORLD = world("pronounced")


class Forgetful(Listening):
    """A planner with beliefs that keeps nothing itself."""

    def plan(self, request):
        return self.planner.plan(request)


def growth_per_member(run: Callable[[int], object], small: int, large: int) -> float:
    """Bytes by which the traced peak grows with each member."""
    peaks = []
    run(100)  # compiles, and fills caches
    for size in (small, large):
        tracemalloc.start()
        run(size)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    return (peaks[1] - peaks[0]) / (large - small)


def test_a_member_more_costs_the_planner_its_compact_beliefs_and_little_more(
    monkeypatch, tmp_path
) -> None:
    monkeypatch.setattr(planner, "COMPACT_MEMBERS", 0)
    monkeypatch.setattr(planner, "_CHUNK", 512)
    observations = weekly_observation(Population(WORLD, 512))

    def plan(size: int) -> None:
        store = InMemoryFeatureStore()
        service = PlanningService(WORLD, Forgetful(WORLD), store, np.arange(size))
        for first in range(0, size, 512):
            ids = np.arange(first, min(first + 512, size))
            publish_observations(store, ids, observations[: len(ids)], 0)
        service.plan_at(0)
        service.save_beliefs(tmp_path / "beliefs")

    assert growth_per_member(plan, 6000, 18_000) < 2600  # beliefs 1.3 kB, stores in this process


def test_a_member_more_costs_the_executor_its_simulation_and_little_more(monkeypatch) -> None:
    for module in (simulation, store_clock, decisions):
        monkeypatch.setattr(module, "CHUNK", 512)

    def serve(size: int) -> None:
        population = Population(WORLD, size)
        SimulationService(population, some_executor(WORLD), InMemoryFeatureStore()).simulate_day()

    # Of it 400 bytes are the day's log: candidates and probabilities of three decisions, plan.
    assert growth_per_member(serve, 4000, 12_000) < 2300


def test_services_that_go_on_for_weeks_keep_nothing_of_past_weeks(tmp_path) -> None:
    store, population = InMemoryFeatureStore(), Population(WORLD, 40)
    serving = SimulationService(population, some_executor(WORLD), store)
    planning = PlanningService(WORLD, Forgetful(WORLD), store, np.arange(40), forget_weeks=2)
    answering = JsonLinesService(
        WORLD, some_executor(WORLD), InMemoryFeatureStore(), 0, tmp_path
    )  # fmt: skip
    numbers = opportunity_observation(population).tolist()

    def live(weeks: range) -> int:
        """Simulate some weeks, and return the traced memory after them."""
        for week in weeks:
            for day in range(7):
                serving.simulate_day(lambda _: planning.plan_if_due())
                now = week * WEEK_SECONDS + day * DAY_SECONDS
                for member in range(40):
                    line = {"member": member, "now": now, "observation": numbers[member]}
                    assert "error" not in answering.respond(json.dumps(line))
                answering.rest()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    before = live(range(8))  # after which every cache is full
    after = live(range(8, 20))
    tracemalloc.stop()
    assert after - before < 200 * 40 * 12  # bytes a member and week; a decision takes more
