"""The planner's service plans for valid observations, and keeps beliefs of its own members only."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from slowfast_rl.members.clock import HORIZON_WEEKS, WEEK_SECONDS
from slowfast_rl.members.observations import weekly_observation
from slowfast_rl.members.population import Population
from slowfast_rl.policies.columns import columns
from slowfast_rl.policies.contracts import BasePlanner
from slowfast_rl.services import beliefs_file
from slowfast_rl.services import planner as planner_module
from slowfast_rl.services.beliefs_file import read_head, write_beliefs
from slowfast_rl.services.planner import PlanningService
from slowfast_rl.services.store_clock import publish, publish_observations
from slowfast_rl.slow import RandomPlanner
from slowfast_rl.store import InMemoryFeatureStore, Status, read_plans
from tests.members.worlds import world
from tests.policies.test_belief_memory import Listening
from tests.services.services import LUCK, MEMBERS, Pair
from tests.slow.cases import tiny_planner
from tests.store.shared_cases import dead_owner

WORLD = world("deathless")
BAD = [np.nan, np.inf, -3.0, 1e12]
COLUMN = columns(WORLD)["push_sends_last_week"]


class Weekly:
    """A planner's service and the store, to which a simulation writes once a week."""

    def __init__(self, planner: BasePlanner, **arguments) -> None:
        self.store = InMemoryFeatureStore()
        self.planner, self.arguments = planner, arguments
        self.population = Population(WORLD, MEMBERS, 0, LUCK)
        self.service = self.new_service()
        self.generator = np.random.default_rng(0)

    def new_service(self) -> PlanningService:
        return PlanningService(
            WORLD, self.planner, self.store, np.arange(MEMBERS), **self.arguments
        )

    def look(self, bad=(), value=np.nan):
        """Publish the observations, some of them with a bad number, and plan."""
        now = int(self.population.now.max())
        observations = weekly_observation(self.population)
        observations[list(bad), COLUMN] = value
        publish_observations(self.store, self.population.members, observations, now)
        planned = self.service.plan_at(now)
        plan, status = read_plans(self.store, self.population.members, now)
        return planned, plan, status

    def live_a_week(self) -> None:
        for _ in range(WORLD.slots_per_week):
            self.population.step(self.generator.integers(0, 2, MEMBERS))


def network_with_beliefs():
    return tiny_planner(beliefs=True).untrained(WORLD, 0)


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("planner", [network_with_beliefs, lambda: RandomPlanner(3)])
def test_a_bad_observation_costs_its_member_a_plan_and_nobody_else_anything(planner, value) -> None:
    whole, harmed = Weekly(planner()), Weekly(planner())
    for week in range(5):
        bad = [7, 20] if week == 1 else []
        _, plan, _ = whole.look()
        planned, other, status = harmed.look(bad, value)
        good = np.setdiff1d(np.arange(MEMBERS), bad)
        for column, its in zip(plan, other, strict=True):
            assert_array_equal(column[good], its[good])
        assert (status[good] == Status.PRESENT).all()
        assert (status[bad] != Status.PRESENT).all()
        assert planned.invalid == len(bad)
        assert planned.entity_ids.size == len(good)
        if bad:
            assert planned.fault.startswith(
                "the observation of member 7 (and 1 more of 60) has push_sends_last_week = "
            )
        for each in (whole, harmed):
            each.live_a_week()
    if harmed.service.memory is not None:
        assert np.isfinite(harmed.service.memory.belief_observation(np.arange(MEMBERS))).all()


def test_a_member_is_planned_for_in_the_same_week_once_its_observation_is_valid() -> None:
    weekly = Weekly(Listening(WORLD))
    _, _, status = weekly.look(bad=[3])
    assert status[3] == Status.NOT_FOUND
    planned, _, status = weekly.look()
    assert planned.entity_ids.tolist() == [3]
    assert status[3] == Status.PRESENT


def test_members_are_planned_for_alike_in_small_and_large_chunks(monkeypatch) -> None:
    plans = []
    for chunk in (7, 1000):
        monkeypatch.setattr(planner_module, "_CHUNK", chunk)
        weekly = Weekly(Listening(WORLD))
        for _ in range(3):
            planned, plan, _ = weekly.look(bad=[5])
            weekly.live_a_week()
        plans.append((planned.entity_ids, *plan, *weekly.service.state().values()))
    for one, other in zip(*plans, strict=True):
        assert_array_equal(one, other)


def test_a_clock_beyond_the_horizon_is_no_clock_and_freezes_no_beliefs() -> None:
    weekly = Weekly(Listening(WORLD))
    row = {"week": np.zeros(1, np.int64), "service": np.ones(1, np.int64)}
    weekly.store.write_to_online_store("clock", [0], row, 2**62)
    assert weekly.service.plan_if_due() is None
    with pytest.raises(ValueError, match="now is 4611686018427387904; allowed is 0 to"):
        weekly.service.plan_at(2**62)
    weekly.look()
    assert len(weekly.service.memory) == MEMBERS
    assert HORIZON_WEEKS * WEEK_SECONDS < 2**40


def test_members_that_leave_are_forgotten_when_asked_and_after_some_weeks_without_a_sign() -> None:
    weekly = Weekly(Listening(WORLD), forget_weeks=3)
    weekly.look()
    weekly.service.forget(np.array([4, 999]))
    assert len(weekly.service.memory) == MEMBERS - 1
    assert read_plans(weekly.store, [4], 0)[1][0] == Status.NOT_FOUND
    planned = weekly.service.plan_at(0)
    assert planned.unseen == 1
    assert planned.entity_ids.size == 0
    left = np.arange(30, MEMBERS)
    for week in range(1, 6):
        observations = weekly_observation(weekly.population)[:30]
        publish_observations(weekly.store, np.arange(30), observations, week * WEEK_SECONDS)
        weekly.service.plan_at(week * WEEK_SECONDS)
        known = np.isin(left, weekly.service.state()["ids"])
        assert known.all() if week <= 3 else not known.any()
    assert len(weekly.service.memory) == 30


def saved(path: Path) -> Pair:
    pair = Pair(WORLD, planner=Listening(WORLD))
    pair.live(15)
    pair.planning.save_beliefs(path)
    return pair


def test_beliefs_go_on_from_their_file_when_the_same_members_are_served(tmp_path: Path) -> None:
    pair = saved(tmp_path / "beliefs")
    before = pair.planning.state()
    pair.planning = pair.new_planning()
    pair.planning.load_beliefs(tmp_path / "beliefs")
    for name, array in pair.planning.state().items():
        assert_array_equal(array, before[name])
    pair.live(7)
    assert pair.planning.state()["weeks"].max() == 3


def test_beliefs_that_a_killed_planner_left_unfinished_are_deleted(tmp_path: Path) -> None:
    unfinished = tmp_path / f".beliefs.{dead_owner()}.partial"
    unfinished.write_bytes(b"begun")
    saved(tmp_path / "beliefs")
    assert [path.name for path in tmp_path.iterdir()] == ["beliefs"]


def test_beliefs_about_members_of_another_service_are_refused(tmp_path: Path) -> None:
    saved(tmp_path / "beliefs")
    other = Pair(WORLD, planner=Listening(WORLD))
    other.planning.load_beliefs(tmp_path / "beliefs")
    with pytest.raises(ValueError, match="holds beliefs about the members of service"):
        other.live(1)


def test_beliefs_of_another_world_are_refused(tmp_path: Path) -> None:
    saved(tmp_path / "beliefs")
    other = Pair(world("eventful"), planner=Listening(world("eventful")))
    with pytest.raises(ValueError, match="holds beliefs of another world: "):
        other.planning.load_beliefs(tmp_path / "beliefs")


@pytest.mark.parametrize(
    "change", ["a byte", "the service", "no identity", "no part", "cut", "no file", "a value"]
)
def test_a_damaged_file_of_beliefs_is_refused_and_nothing_changes(
    tmp_path: Path, change: str
) -> None:
    path = tmp_path / "beliefs"
    pair = saved(path)
    content, head = path.read_bytes(), read_head(path)
    if change == "a byte":
        path.write_bytes(content[:5000] + bytes([content[5000] ^ 1]) + content[5001:])
    elif change == "the service":
        write_beliefs(path, pair.planning.memory, head | {"service": "x"})
    elif change == "no identity":
        write_beliefs(path, pair.planning.memory, {"now": 0})
    elif change == "no part":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("beliefs.json", json.dumps(head))
    elif change == "cut":
        path.write_bytes(content[:-5])
    elif change == "no file":
        path.unlink()
    else:
        pair.planning.memory._blocks[0].habit[5] = np.nan
        pair.planning.save_beliefs(path)
        pair.planning.memory._blocks[0].habit[5] = 0.5
    before = pair.planning.state()
    with pytest.raises(ValueError, match=str(path)) as raised:
        pair.planning.load_beliefs(path)
    assert "\n" not in str(raised.value)
    for name, array in pair.planning.state().items():
        assert_array_equal(array, before[name])


def test_many_members_have_compact_beliefs_that_survive_their_file(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(planner_module, "COMPACT_MEMBERS", MEMBERS)
    monkeypatch.setattr(beliefs_file, "_MEMBERS", 7)
    pair = saved(tmp_path / "beliefs")
    sizes = [table.itemsize for table in pair.planning.memory._blocks[0]]
    assert sorted(sizes) == [2, 2, 4, 4, 4, 4, 4, 4]
    successor = pair.new_planning()
    successor.load_beliefs(tmp_path / "beliefs")
    for name, array in pair.planning.state().items():
        assert_array_equal(array, successor.state()[name])


def test_a_planner_of_a_single_week_keeps_no_beliefs() -> None:
    one, other = Weekly(Listening(WORLD)), Weekly(Listening(WORLD), keep_beliefs=False)
    for column, its in zip(one.look()[1], other.look()[1], strict=True):
        assert_array_equal(column, its)
    assert len(one.service.memory) == MEMBERS
    assert len(other.service.memory) == 0


def test_a_running_planner_forgets_the_members_of_a_service_that_is_followed_by_another() -> None:
    pair = Pair(WORLD, planner=Listening(WORLD))
    pair.live(10)
    successor = Pair(WORLD, planner=Listening(WORLD))  # other members, on an empty store
    service = pair.planning
    service.store = successor.store
    publish(successor.store, successor.population, 0, 17)
    planned = service.plan_if_due()
    assert planned.now == 0
    assert planned.entity_ids.size == MEMBERS
    assert service.state()["weeks"].max() == 0
