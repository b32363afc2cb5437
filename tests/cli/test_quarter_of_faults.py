"""A simulated quarter in which the store and the planner are killed again and again."""

import json
import threading
import time

import numpy as np
import pytest

from slowfast_rl.agents import SlowFastAgent
from slowfast_rl.agents.disk import read_arrays
from slowfast_rl.fast import AffinityRanker, BidPricePacer, PacedExecutor
from slowfast_rl.members.clock import WEEK_SECONDS
from slowfast_rl.members.loading import load_world
from slowfast_rl.members.population import Population
from slowfast_rl.services.planner import PlanningService
from slowfast_rl.services.simulation import SimulationService
from slowfast_rl.slow import RolloutPlanner
from slowfast_rl.store import InMemoryFeatureStore
from tests.cli.calls import Running
from tests.services.decisions import read_log
from tests.store.redis_server import RedisServer

WORLD = load_world("pronounced")
MEMBERS, WEEKS, KILLS, WEEK = 512, 13, 20, 14.0  # real seconds a simulated week
SEEDS = {"population_seed": 1_000_000, "luck_seed": 1_000_000}


def in_one_process(agent: SlowFastAgent, *, planned: bool) -> np.ndarray:
    """What the same members bring without any fault, planned for or left to the safe plan."""
    population = Population(WORLD, MEMBERS, *SEEDS.values())
    store = InMemoryFeatureStore()
    planning = PlanningService(WORLD, agent.slow, store, np.arange(MEMBERS))
    simulation_service = SimulationService(population, agent.fast, store)
    for _ in range(7 * WEEKS):
        simulation_service.simulate_day(lambda now: planning.plan_if_due() if planned else None)
    assert simulation_service.counters["fallbacks"] == 0 or not planned
    return simulation_service.returns


@pytest.mark.long
def test_a_quarter_with_store_and_planner_killed_twenty_times_each(tmp_path) -> None:
    agent = SlowFastAgent(
        RolloutPlanner(states=2000), PacedExecutor(BidPricePacer(), AffinityRanker())
    ).learn(WORLD, total_opportunities=20_000_000, seed=0)
    agent.save(tmp_path / "agent.zip")
    whole, safe = (in_one_process(agent, planned=planned) for planned in (True, False))
    gain = (whole - safe).mean()
    assert gain > 0

    server, draws = RedisServer(), np.random.default_rng(0)
    arguments = (f"checkpoint={tmp_path}/agent.zip", "store=redis", f"store.url={server.url}")

    def planner() -> Running:
        return Running(
            "plan", *arguments, f"members={MEMBERS}", "loop=true",
            f"beliefs_file={tmp_path}/beliefs.safetensors", cwd=tmp_path,
        )  # fmt: skip

    running = planner()
    assert running.says("Plans go to")
    served = Running(
        "serve", *arguments, f"num_members={MEMBERS}", f"weeks={WEEKS}", f"week_seconds={WEEK}",
        f"folder={tmp_path}/served", *(f"{k}={v}" for k, v in SEEDS.items()), cwd=tmp_path,
    )  # fmt: skip
    assert served.says("Serving")
    end = WEEKS * WEEK
    begun = time.monotonic()

    def sleep_until(moment: float) -> None:
        time.sleep(max(0.0, begun + moment - time.monotonic()))

    def kill_the_store() -> None:
        for moment in np.sort(draws.uniform(2, end - 5, KILLS)):
            sleep_until(moment)
            server.kill()
            time.sleep(0.5)
            server.start()

    moments = np.sort(draws.uniform(2, end - 5, KILLS))
    thread = threading.Thread(target=kill_the_store)
    thread.start()
    for moment in moments:
        sleep_until(moment)
        assert running.process.poll() is None, running.path.read_text()  # nothing but us killed it
        running.kill()
        running = planner()
    thread.join()
    assert served.process.wait(300) == 0, served.path.read_text()
    running.kill()
    server.kill()

    summary = json.loads((tmp_path / "served" / "serve.json").read_text())
    log = read_log(tmp_path / "served" / "decisions")
    column = {name: log[name].to_numpy() for name in log.column_names}
    sent = column["action"] > 0
    assert (column["sent_this_week"] < column["cap"])[sent].all()
    assert column["opted_in"][sent].all()
    fell_back = column["plan_source"] != "plan"
    weeks = column["time"] // WEEK_SECONDS
    pairs = set(zip(column["member"][fell_back], weeks[fell_back], strict=True))
    assert summary["fallbacks"] == len(pairs)
    returns = read_arrays(tmp_path / "served" / "state.safetensors")[0]["returns"]
    kept = (returns - safe).mean() / gain
    told = {"kept": kept, "gain": gain, **summary}
    (tmp_path / "quarter.json").write_text(json.dumps(told))
    assert kept >= 0.8, told
    assert summary["fallbacks"] > 0
