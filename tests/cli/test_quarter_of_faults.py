"""A simulated quarter in which the store and the planner are killed again and again.

How long each is away is counted in moments of the simulation, at whose gates the executor waits.
Where both are there it waits for the week's plans as well. So a slow machine changes nothing.
"""

import json
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
from slowfast_rl.services.store_clock import published_views
from slowfast_rl.slow import RolloutPlanner
from slowfast_rl.store import InMemoryFeatureStore, RedisFeatureStore, plan_view
from tests.cli.calls import Running, planned
from tests.cli.gates import Gated, moments
from tests.services.decisions import read_log
from tests.store.redis_server import RedisServer
from tests.waiting import HANG_SECONDS, comes_true

WORLD = load_world("pronounced")
MEMBERS, WEEKS, KILLS = 512, 13, 20
GATES = WEEKS * (7 + WORLD.slots_per_week)
AWAY = 7  # gates, a quarter of a week, until a planner that was killed is replaced
SEEDS = {"population_seed": 1_000_000, "luck_seed": 1_000_000}


def in_one_process(agent: SlowFastAgent, *, plans: bool) -> np.ndarray:
    """What the same members bring without any fault, planned for or left to the safe plan."""
    population = Population(WORLD, MEMBERS, *SEEDS.values())
    store = InMemoryFeatureStore()
    planning = PlanningService(WORLD, agent.slow, store, np.arange(MEMBERS))
    simulation_service = SimulationService(population, agent.fast, store)
    for _ in range(7 * WEEKS):
        simulation_service.simulate_day(lambda now: planning.plan_if_due() if plans else None)
    assert simulation_service.counters["fallbacks"] == 0 or not plans
    return simulation_service.returns


@pytest.mark.long
def test_a_quarter_with_store_and_planner_killed_twenty_times_each(tmp_path) -> None:
    agent = SlowFastAgent(
        RolloutPlanner(states=2000), PacedExecutor(BidPricePacer(), AffinityRanker())
    ).learn(WORLD, total_opportunities=20_000_000, seed=0)
    agent.save(tmp_path / "agent.zip")
    whole, safe = (in_one_process(agent, plans=plans) for plans in (True, False))
    gain = (whole - safe).mean()
    assert gain > 0

    server, draws = RedisServer(), np.random.default_rng(0)
    arguments = (f"checkpoint={tmp_path}/agent.zip", "store=redis", f"store.url={server.url}")

    def planner() -> Running:
        return Running(
            "plan", *arguments, f"members={MEMBERS}", "loop=true",
            f"beliefs_file={tmp_path}/beliefs.safetensors", cwd=tmp_path,
        )  # fmt: skip

    served = Gated(
        "serve", *arguments, f"store.timeout_seconds={HANG_SECONDS}", f"num_members={MEMBERS}",
        f"weeks={WEEKS}", f"folder={tmp_path}/served", *(f"{k}={v}" for k, v in SEEDS.items()),
        cwd=tmp_path,
    )  # fmt: skip

    def await_plans(by: Running) -> None:
        assert comes_true(lambda: planned(watched, np.arange(MEMBERS)) or by.ended())
        assert not by.ended(), by.path.read_text()  # nothing but us kills it

    watched = RedisFeatureStore(server.url, timeout_seconds=HANG_SECONDS)
    watched.apply([plan_view(len(WORLD.channels)), *published_views(WORLD)])
    store_killed = set(draws.choice(np.arange(4, GATES - 10), KILLS, replace=False).tolist())
    planner_killed = moments(draws, KILLS, GATES - 10, AWAY)
    running, back, gate = planner(), None, 0
    assert running.says("Plans go to")
    while served.arrives():
        if gate - 1 in store_killed:
            server.start()
        if gate == back:
            running, back = planner(), None
            assert running.says("Plans go to")
        if back is None:
            await_plans(running)
        served.pass_gate()
        time.sleep(draws.uniform(0, 0.02))  # so that it may be killed in the middle of anything
        if gate in store_killed:
            server.kill()
        if gate in planner_killed:
            running.kill()
            back = gate + AWAY
        gate += 1
    assert gate == GATES
    assert served.ends_well(), served.path.read_text()
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
