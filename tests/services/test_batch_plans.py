"""Plans for members in parquet files: the same in any shards, and none planned twice."""

import json
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from slowfast_rl.members.loading import load_world
from slowfast_rl.services import batch_plans
from slowfast_rl.services.batch_plans import (
    PlanJob,
    begin_job,
    check_members,
    find_shards,
    job_identity,
    plan_shards,
    read_part,
)
from slowfast_rl.services.planner import PlanningService
from slowfast_rl.services.store_clock import publish_observations
from slowfast_rl.store import (
    InMemoryFeatureStore,
    Status,
    StoreUnavailableError,
    plan_view,
    read_plans,
    write_plans,
)
from tests.services.members_files import features, some_planner, write_members
from tests.store.redis_server import RedisServer

WORLD = load_world("pronounced")
MEMBERS, WEEK = 50, 3
NOW = WEEK * 7 * 86_400


def at_once(planner, ids, observations):
    """The plans of one service that has all members."""
    store = InMemoryFeatureStore()
    service = PlanningService(WORLD, planner, store, ids, 6, keep_beliefs=False)
    publish_observations(store, ids, observations, NOW)
    return service.plan_at(NOW).plan


class Noting:
    """A planner that notes which members it is asked for."""

    def __init__(self, planner):
        self.planner, self.asked = planner, []

    def __getattr__(self, name):
        return getattr(self.planner, name)

    def plan(self, request):
        self.asked += request.entity_ids.tolist()
        return self.planner.plan(request)


@pytest.fixture
def members(tmp_path):
    """Two files with 8 shards, and the observations of their members."""
    observations, ids = features(WORLD, MEMBERS), np.arange(MEMBERS) + 100
    write_members(tmp_path / "in/a.parquet", WORLD, ids[:20], observations[:20], 7)
    write_members(tmp_path / "in/deep/b.parquet", WORLD, ids[20:], observations[20:], 7)
    return tmp_path / "in", ids, observations


def job_in(folder, planner=None, store=None):
    opened = None if store is None else (lambda: store)
    return PlanJob(WORLD, planner or some_planner(WORLD), 6, WEEK, folder, opened)


def parts(folder):
    """All ids and plans in a folder."""
    read = [read_part(WORLD, path) for path in sorted(folder.glob("part-*.parquet"))]
    ids = np.concatenate([ids for ids, _ in read])
    plans = [np.concatenate(column) for column in zip(*(plan for _, plan in read), strict=True)]
    return ids, plans


@pytest.mark.parametrize("row_group", [1, 3, 50])
def test_plans_are_those_of_one_service_however_members_are_divided(row_group, tmp_path):
    observations, ids = features(WORLD, MEMBERS), np.arange(MEMBERS)
    write_members(tmp_path / "m.parquet", WORLD, ids, observations, row_group)
    shards, _ = find_shards(tmp_path / "m.parquet")
    assert len(shards) == -(-MEMBERS // row_group)
    list(plan_shards(job_in(tmp_path / "out"), shards))
    found, plans = parts(tmp_path / "out")
    assert_array_equal(found, ids)
    expected = at_once(some_planner(WORLD), ids, observations)
    assert len(np.unique(expected.target, axis=0)) > 3
    for column, wanted in zip(plans, expected, strict=True):
        assert_array_equal(column, wanted)
        assert column.dtype == wanted.dtype


def test_many_members_are_planned_for_in_blocks_with_the_same_plans(members, tmp_path, monkeypatch):
    folder, ids, observations = members
    monkeypatch.setattr(batch_plans, "_BLOCK", 3)
    list(plan_shards(job_in(tmp_path / "out"), find_shards(folder)[0]))
    found, plans = parts(tmp_path / "out")
    assert_array_equal(found, ids)
    assert_array_equal(plans[0], at_once(some_planner(WORLD), ids, observations).target)


def test_beliefs_that_are_not_kept_are_as_precise_for_many_members_as_for_few(monkeypatch):
    ids, observations = np.arange(MEMBERS), features(WORLD, MEMBERS)
    few = at_once(some_planner(WORLD), ids, observations)
    monkeypatch.setattr("slowfast_rl.services.planner.COMPACT_MEMBERS", MEMBERS)
    store = InMemoryFeatureStore()
    service = PlanningService(WORLD, some_planner(WORLD), store, ids, 6, keep_beliefs=False)
    publish_observations(store, ids, observations, NOW)
    assert not service.memory._compact
    assert_array_equal(service.plan_at(NOW).plan.target, few.target)


def test_a_job_that_continues_plans_what_is_missing_and_nothing_else(members, tmp_path):
    folder, ids, _ = members
    shards, _ = find_shards(folder)
    planner = Noting(some_planner(WORLD))
    job = job_in(tmp_path / "out", planner)
    running = plan_shards(job, shards)
    for _ in range(3):  # then it is killed
        next(running)
    (tmp_path / "out/part-000001.json").unlink()  # killed between plans and record
    damaged = tmp_path / "out/part-000002.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-9])
    planner.asked.clear()
    outcomes = list(plan_shards(job, shards))
    assert [outcome.continued for outcome in outcomes] == [True] + [False] * (len(shards) - 1)
    assert planner.asked == ids[7:].tolist()
    found, plans = parts(tmp_path / "out")
    assert_array_equal(found, ids)
    list(plan_shards(job_in(tmp_path / "again"), shards))
    for column, wanted in zip(plans, parts(tmp_path / "again")[1], strict=True):
        assert_array_equal(column, wanted)
    planner.asked.clear()
    assert all(outcome.continued for outcome in plan_shards(job, shards))
    assert planner.asked == []


class Failing(InMemoryFeatureStore):
    """A store that cannot be reached after some writes."""

    writes_left = 10**9

    def write_to_online_store(self, *arguments, **named):
        if self.writes_left == 0:
            raise StoreUnavailableError("the server is gone")
        self.writes_left -= 1
        return super().write_to_online_store(*arguments, **named)


def stored(store, ids):
    store.apply([plan_view(len(WORLD.channels))])
    return read_plans(store, ids, NOW)


def test_a_store_that_fails_gets_every_plan_when_the_job_continues(members, tmp_path):
    folder, ids, observations = members
    shards, _ = find_shards(folder)
    planner, store = Noting(some_planner(WORLD)), Failing()
    store.writes_left = 2
    job = job_in(tmp_path / "out", planner, store)
    with pytest.raises(StoreUnavailableError, match="the server is gone"):
        list(plan_shards(job, shards))
    assert (stored(store, ids)[1] == Status.PRESENT).sum() == 14
    assert json.loads((tmp_path / "out/part-000002.json").read_text())["stored"] is False
    store.writes_left = 10**9
    outcomes = list(plan_shards(job, shards))
    assert sum(outcome.record.refused for outcome in outcomes) == 0
    assert planner.asked == ids.tolist()  # each member once, also of the shard that failed
    plan, status = stored(store, ids)
    assert (status == Status.PRESENT).all()
    assert_array_equal(plan.target, at_once(some_planner(WORLD), ids, observations).target)


def test_plans_that_the_store_has_from_before_a_kill_are_not_refused_and_others_are(
    members, tmp_path
):
    folder, ids, observations = members
    store, job = InMemoryFeatureStore(), None
    stored(store, ids)
    ours = at_once(some_planner(WORLD), ids, observations)
    write_plans(store, ids[:4], type(ours)(*(column[:4] for column in ours)), NOW)
    other = ours._replace(policy_version=ours.policy_version + 1)
    write_plans(store, ids[9:11], type(ours)(*(column[9:11] for column in other)), NOW)
    job = job_in(tmp_path / "out", store=store)
    outcomes = list(plan_shards(job, find_shards(folder)[0]))
    assert [outcome.record.refused for outcome in outcomes] == [0, 2] + [0] * 6
    assert_array_equal(parts(tmp_path / "out")[0], ids)


def test_plans_go_to_redis_too(members, tmp_path):
    from slowfast_rl.store import RedisFeatureStore

    server = RedisServer()
    folder, ids, observations = members
    job = job_in(tmp_path / "out")._replace(open_store=partial(RedisFeatureStore, server.url))
    list(plan_shards(job, find_shards(folder)[0]))
    plan, status = stored(RedisFeatureStore(server.url), ids)
    server.kill()
    assert (status == Status.PRESENT).all()
    for column, wanted in zip(plan, at_once(some_planner(WORLD), ids, observations), strict=True):
        assert_array_equal(column, wanted)


def test_a_member_with_a_bad_cell_gets_no_plan_and_is_counted(members, tmp_path):
    folder, ids, observations = members
    observations[23, 2] = np.nan
    write_members(folder / "deep/b.parquet", WORLD, ids[20:], observations[20:], 7)
    outcomes = list(plan_shards(job_in(tmp_path / "out"), find_shards(folder)[0]))
    records = [outcome.record for outcome in outcomes]
    assert [record.invalid for record in records] == [0, 0, 0, 1, 0, 0, 0, 0]
    assert "the observation of member 123 has" in records[3].fault
    assert_array_equal(parts(tmp_path / "out")[0], np.delete(ids, 23))


def test_a_member_in_two_files_is_named(members):
    folder, ids, observations = members
    check_members(find_shards(folder)[0])
    write_members(folder / "c.parquet", WORLD, ids[13:14], observations[13:14], 7)
    with pytest.raises(ValueError, match="entity id 113 comes twice"):
        check_members(find_shards(folder)[0])


@pytest.mark.parametrize("change", ["week", "policy_version", "planner", "members", "store"])
def test_a_folder_with_plans_of_another_job_is_refused_by_what_differs(change, members, tmp_path):
    folder, ids, observations = members
    planner = some_planner(WORLD)
    job = job_in(tmp_path / "out", planner)
    begin_job(job.folder, job_identity(job, find_shards(folder)[1]))
    begin_job(job.folder, job_identity(job, find_shards(folder)[1]))
    if change == "members":
        write_members(folder / "a.parquet", WORLD, ids[:20], observations[:20] * 0, 7)
    elif change == "planner":
        planner.values[0].inputs_1.data[0, 0, 0] += 1e-7
    else:
        job = job._replace(**{change: 7 if change != "store" else {"name": "other"}})
    with pytest.raises(ValueError, match=rf"another job, whose {change} is .*another output"):
        begin_job(job.folder, job_identity(job, find_shards(folder)[1]))


def test_a_folder_without_members_is_told(tmp_path):
    with pytest.raises(ValueError, match="which has no row in a parquet file"):
        find_shards(tmp_path)
