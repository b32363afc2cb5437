"""Two services that speak only through the store live as one agent does, and survive each other."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from slowfast_rl.fast import (
    AffinityRanker,
    CoinPacer,
    ExactPacer,
    ExploringExecutor,
    PacedExecutor,
    QualityRanker,
)
from slowfast_rl.fast.threshold import ThresholdPacer
from slowfast_rl.logs.checks import check
from slowfast_rl.logs.conversion import convert
from slowfast_rl.logs.histories import MemberHistories
from slowfast_rl.logs.parquet import write_part
from slowfast_rl.logs.reading import read
from slowfast_rl.logs.schema import DECISIONS
from slowfast_rl.members.beliefs import BeliefFilter
from slowfast_rl.members.clock import DAY_SECONDS, WEEK_SECONDS
from slowfast_rl.members.loading import load_world
from slowfast_rl.members.observations import opportunity_observation, weekly_observation
from slowfast_rl.members.population import Population
from slowfast_rl.policies.contracts import BasePlanner
from slowfast_rl.policies.plan_exchange import PlanExchange, plans_of_planner
from slowfast_rl.services import simulation, store_clock
from slowfast_rl.services.json_lines import JsonLinesService
from slowfast_rl.services.planner import PlanningService
from slowfast_rl.services.simulation import SimulationService, executor_version
from slowfast_rl.slow import FixedPlanner, RandomPlanner
from slowfast_rl.store import InMemoryFeatureStore, read_plans
from tests.agents.cases import WEIGHTS
from tests.agents.own_parts import OwnExecutor
from tests.members.worlds import world
from tests.services.decisions import read_log
from tests.services.services import LUCK, MEMBERS, Pair, some_executor
from tests.slow.cases import tiny_planner
from tests.store.backends import BACKENDS

WORLD = world("eventful")


class BelievingPlanner(BasePlanner):
    """Sends more to those who are believed to tire less."""

    name, policy_version = "believing", 7

    def __init__(self, w) -> None:
        super().__init__()
        self.belief_filter = BeliefFilter(w)
        names = [feature.name for feature in self.belief_filter.features]
        self._column, self._plans = names.index("belief_sensitivity"), len(w.plans)

    def plan(self, request):
        rank = np.argsort(np.argsort(request.beliefs[:, self._column]))
        best = self._plans - 1 - rank * self._plans // len(rank)
        feasible = np.where(request.feasible, np.arange(self._plans), 0)
        return np.take_along_axis(feasible, best[:, None], axis=1)[:, 0]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("pacer", [None, ExactPacer(), CoinPacer()], ids=["bid", "exact", "coin"])
def test_services_on_a_store_live_as_the_fused_weeks_do(backend, pacer) -> None:
    executor = some_executor(WORLD) if pacer is None else PacedExecutor(pacer, QualityRanker())
    pair = Pair(WORLD, BACKENDS[backend](), executor=executor)
    pair.live(3 * 7)
    fused, plan_exchange = (
        Population(WORLD, MEMBERS, 0, LUCK),
        PlanExchange(WORLD, executor=executor),
    )
    returns, planner = np.zeros(MEMBERS), RandomPlanner(3)
    for week in range(3):
        plan_exchange.issue(fused, plans_of_planner(fused, planner))
        reward = plan_exchange.run_week(fused)[0].reward
        returns += WORLD.reward.weekly_discount**week * reward
    assert_allclose(pair.simulation_service.returns, returns, rtol=1e-6)
    assert_array_equal(pair.population.simulation.log.by_channel, fused.simulation.log.by_channel)
    assert pair.simulation_service.counters["fallbacks"] == 0
    pair.assert_guarded()


def test_beliefs_that_are_kept_from_the_store_are_those_of_the_population() -> None:
    planner = BelievingPlanner(WORLD)
    pair = Pair(WORLD, planner=planner)
    pair.live(5 * 7)
    inside = Population(WORLD, MEMBERS, 0, LUCK, belief_filter=planner.belief_filter)
    plan_exchange = PlanExchange(WORLD, executor=pair.executor)
    for _ in range(5):
        plan_exchange.issue(inside, plans_of_planner(inside, planner))
        plan_exchange.run_week(inside)
    assert_array_equal(pair.population.simulation.log.by_channel, inside.simulation.log.by_channel)


def test_beliefs_go_on_in_another_process() -> None:
    pair = Pair(WORLD, planner=BelievingPlanner(WORLD))
    other = Pair(WORLD, planner=BelievingPlanner(WORLD))
    for week in range(4):
        pair.live(7)
        other.live(7)
        successor = other.new_planning()
        successor.restore(other.planning.state())
        other.planning = successor
        assert pair.planning.state()["weeks"].max() == week
    assert_array_equal(pair.column("action"), other.column("action"))
    with pytest.raises(ValueError, match="beliefs have no"):
        successor.restore({"ids": np.arange(3)})


@pytest.mark.parametrize("day", [0, 1, 7, 10])
def test_an_executor_that_is_killed_goes_on_from_the_last_day_it_finished(
    tmp_path: Path, day: int
) -> None:
    whole = Pair(WORLD, folder=tmp_path / "whole")
    whole.live(14)
    first = Pair(WORLD, folder=tmp_path / "parts")
    first.live(day)

    def die(now: int) -> None:
        if now % DAY_SECONDS > 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        first.live(1, die)
    second = Pair(WORLD, first.store, folder=tmp_path / "parts")
    assert second.simulation_service.days == day
    second.live(14 - day)
    assert_array_equal(second.simulation_service.returns, whole.simulation_service.returns)
    assert second.simulation_service.counters == whole.simulation_service.counters
    logs = [read_log(tmp_path / name / "decisions") for name in ("whole", "parts")]
    assert logs[0].equals(logs[1])
    with pytest.raises(ValueError, match="not the state of these members"):
        SimulationService(
            Population(WORLD, MEMBERS + 1, 0, LUCK), whole.executor, InMemoryFeatureStore(),
            folder=tmp_path / "parts",
        )  # fmt: skip


@pytest.mark.parametrize("change", ["population", "luck", "coins", "world"])
def test_a_state_of_other_members_luck_coins_or_world_is_refused(
    tmp_path: Path, change: str
) -> None:
    Pair(WORLD, folder=tmp_path).live(2)
    w = world("deathless") if change == "world" else WORLD
    population = Population(w, MEMBERS, int(change == "population"), LUCK + (change == "luck"))
    seed = LUCK + (change == "coins")
    with pytest.raises(ValueError, match="not the state of these members"):
        SimulationService(population, some_executor(w), InMemoryFeatureStore(), seed, tmp_path)


def test_a_population_that_died_out_is_served_to_its_end(tmp_path: Path) -> None:
    deadly = load_world("pronounced", {"churn.floor": 1, "churn.scale": 0})
    pair = Pair(deadly, folder=tmp_path)
    pair.live(14)
    assert not pair.population.alive.any()
    assert read_log(tmp_path / "decisions")["time"].to_numpy().max() < WEEK_SECONDS


def test_the_version_of_an_executor_is_its_parameters() -> None:
    versions = {executor_version(PacedExecutor(ThresholdPacer(threshold=x))) for x in (0.1, 5.0)}
    assert len(versions) == 2


def test_the_log_names_what_decided_and_is_whole_after_a_kill(tmp_path: Path) -> None:
    pair = Pair(WORLD, planner=FixedPlanner(WORLD, (3, 1)), folder=tmp_path)
    pair.planning.policy_version = 42
    pair.live(8)
    log = read_log(tmp_path / "decisions")
    assert log.column_names == [column.name for column in DECISIONS]
    assert log.schema.field("propensity").metadata[b"meaning"].startswith(b"probability")
    columns = {name: log[name].to_numpy() for name in log.column_names}
    assert set(columns["plan_version"]) == {42}
    assert set(columns["plan_source"]) == {"plan"}
    assert set(columns["executor_version"]) == {pair.simulation_service.version}
    assert_array_equal(columns["plan_week"], columns["time"] // WEEK_SECONDS)
    assert_allclose(columns["reward"].sum(), pair.column("reward").sum())
    part = sorted((tmp_path / "decisions").iterdir())[-1]
    (part.parent / f".{part.name}.17.partial").write_bytes(part.read_bytes()[:100])  # as if killed
    assert read_log(tmp_path / "decisions").equals(log)


def test_a_source_may_leave_columns_of_the_log_open(tmp_path: Path) -> None:
    write_part(
        tmp_path, "a", DECISIONS, [{"time": [1, 2], "member": [3, 4], "channel": ["push", "email"]}]
    )
    log = read_log(tmp_path)
    assert log["reward"].null_count == 2
    assert log["channel"].to_pylist() == ["push", "email"]


def test_a_plan_holds_until_its_week_ends_whatever_planner_is_deployed_in_between() -> None:
    pair = Pair(WORLD, planner=FixedPlanner(WORLD, (3, 1)))

    def deploy(now: int) -> None:
        if now == 2 * DAY_SECONDS:
            pair.planning = pair.new_planning(FixedPlanner(WORLD, (14, 7)))
            pair.planning.policy_version = 8

    pair.live(14, deploy)
    second = pair.column("time") >= WEEK_SECONDS
    assert set(pair.column("plan_version")[~second]) == {0}
    assert set(pair.column("plan_version")[second]) == {8}
    kept = pair.column("target") > 0
    assert set(pair.column("target")[kept & ~second]) == {3, 1}
    assert set(pair.column("target")[kept & second]) == {14, 7}


def test_a_service_refuses_a_store_that_serves_somebody_else() -> None:
    one = Pair(WORLD)
    one.live(3)
    other = Pair(WORLD, one.store)
    with pytest.raises(ValueError, match="a store serves one population"):
        other.live(1)
    one.live(1)


def test_a_planner_that_wants_latents_cannot_be_served() -> None:
    planner = tiny_planner()
    planner.privileged = True
    with pytest.raises(ValueError, match="needs latents"):
        PlanningService(WORLD, planner, InMemoryFeatureStore(), np.arange(3))


def lived(**parts) -> Pair:
    pair = Pair(WORLD, **parts)
    pair.live(7)
    return pair


def test_arms_that_differ_in_the_ranker_get_identical_plans_in_the_first_planned_week() -> None:
    planner = BelievingPlanner(WORLD)
    arms = [
        lived(planner=planner, executor=PacedExecutor(ExactPacer(), ranker))
        for ranker in (QualityRanker(), AffinityRanker.with_weights(WEIGHTS))
    ]
    plans = [read_plans(arm.store, np.arange(MEMBERS), DAY_SECONDS)[0] for arm in arms]
    for one, other in zip(*plans, strict=True):
        assert_array_equal(one, other)
    assert (arms[0].column("action") != arms[1].column("action")).any()


def test_arms_that_differ_in_the_planner_choose_the_same_message_at_an_opportunity() -> None:
    arms = [lived(planner=RandomPlanner(seed)) for seed in (1, 2)]
    keys = ("time", "member", "target", "cap", "sent_this_week", "opted_in")
    decided = []
    for arm in arms:
        first = len(arm.decisions[0]["time"])  # of the first slot: signals are the same in both
        rows = zip(*(arm.column(key)[:first].tolist() for key in keys), strict=True)
        chosen = zip(arm.column("action")[:first], arm.column("propensity")[:first], strict=True)
        decided.append(dict(zip(rows, chosen, strict=True)))
    same = decided[0].keys() & decided[1].keys()
    assert len(same) > 5
    assert len(same) < MEMBERS  # the planners differ
    assert {decided[0][key] for key in same} != {(0, 1.0)}
    for key in same:
        assert decided[0][key] == decided[1][key]


def test_a_propensity_that_nobody_knows_is_null_in_json_and_in_the_log(tmp_path: Path) -> None:
    service = JsonLinesService(WORLD, OwnExecutor(), InMemoryFeatureStore(), 0, tmp_path)
    population = Population(WORLD, 6, 0, LUCK)
    observations, unknown = opportunity_observation(population), 0
    for member, observation in enumerate(observations.tolist()):
        line = {"member": member, "now": 0, "observation": observation}
        answer = json.loads(json.dumps(service.respond(json.dumps(line)), allow_nan=False))
        choice_left = answer["opted_in"] and answer["cap"] > 0
        assert answer["propensity"] is None if choice_left else answer["propensity"] == 1
        unknown += choice_left
    service.rest()
    assert read_log(tmp_path / "decisions")["propensity"].null_count == unknown > 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_members_are_served_alike_in_small_and_large_chunks(backend, tmp_path, monkeypatch) -> None:
    pairs = []
    for chunk in (7, 1000):
        monkeypatch.setattr(simulation, "CHUNK", chunk)
        monkeypatch.setattr(store_clock, "CHUNK", chunk)
        pair = Pair(WORLD, BACKENDS[backend](), folder=tmp_path / str(chunk))
        pair.live(8)
        pairs.append(pair)
    one, other = (read_log(pair.folder / "decisions") for pair in pairs)
    assert one.equals(other)
    assert_array_equal(*(pair.simulation_service.returns for pair in pairs))


def test_a_served_folder_is_a_log_from_which_messages_can_be_evaluated(tmp_path: Path) -> None:
    folder = tmp_path / "served"
    for days in (3, 5, 6):  # the service is started again in the middle of weeks
        population = Population(WORLD, MEMBERS, 0, LUCK)
        store = InMemoryFeatureStore()
        executor = ExploringExecutor(PacedExecutor(), explore=0.3)
        serving = SimulationService(population, executor, store, 0, folder)
        planning = PlanningService(WORLD, RandomPlanner(0), store, population.members)
        for _ in range(days):
            serving.simulate_day(until=lambda now, planning=planning: planning.plan_if_due())
    convert(folder, tmp_path / "log", WORLD)
    log = read(tmp_path / "log", WORLD)
    report = check(log, ["messages"])
    assert report.errors == ()
    assert {str(finding).partition(" (")[0] for finding in report.findings} == {
        "warning: plans.propensity: missing"
    }
    assert check(log, ["plans"]).errors
    for part in log.parts():
        for replay in MemberHistories(log, part).replay():
            last = replay
    alive = population.alive
    assert_array_equal(last.alive, alive)
    expected = weekly_observation(population)[alive]
    assert_array_equal(last.weekly_observations()[alive], expected)
