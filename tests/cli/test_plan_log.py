"""slowfast-plan on a log: members are planned for as if their history had been simulated here."""

import json
import shutil

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch
from numpy.testing import assert_array_equal

import slowfast_rl as sf
from slowfast_rl.fast import PacedExecutor
from slowfast_rl.logs.launches import write_launches
from slowfast_rl.logs.recording import PlanDesign, record
from slowfast_rl.members.loading import load_world
from slowfast_rl.policies.plan_exchange import plan_request
from slowfast_rl.services.batch_plans import find_log_shards, read_part
from slowfast_rl.store import SharedMemoryFeatureStore, Status, plan_view, read_plans
from tests.cli.calls import call
from tests.logs.cases import logged_world
from tests.services.members_files import some_planner

WORLD = load_world("pronounced")
MEMBERS, WEEKS = 50, 5


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with an agent whose planner has beliefs, and a log."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("slowfast_rl.logs.recording.SHARD", 20)
    agent = sf.SlowFastAgent(some_planner(WORLD), PacedExecutor())
    agent.world = WORLD
    agent.save("agent.zip")
    record(
        tmp_path / "log", WORLD, PacedExecutor(), num_members=MEMBERS, weeks=WEEKS,
        design=PlanDesign(held_share=0), population_seed=3, luck_seed=4,
    )  # fmt: skip
    return tmp_path


def test_the_week_after_a_log_is_planned_with_beliefs_from_the_whole_history(here, capsys):
    done = call(capsys, "plan", "checkpoint=agent.zip", "members=log", "output=out")
    assert done.code == 0, done.err
    planner, log = some_planner(WORLD), sf.logs.read("log")
    ids, chosen = [], []
    for path in sorted((here / "out").glob("part-*.parquet")):
        members, plan = read_part(WORLD, path)
        assert (plan.week == WEEKS).all()
        assert (plan.policy_version == planner.policy_version).all()
        ids.append(members)
        chosen.append(plan.target)
    assert len(ids) == len(log.part_names) == 3
    # The same members under the same actions, simulated here.
    population = sf.Population(
        WORLD, MEMBERS, 3, 4, reward="sampled", belief_filter=planner.belief_filter
    )
    actions = np.zeros((WEEKS * WORLD.slots_per_week, MEMBERS), np.int64)
    seconds = [slot.weekday * 86400 + slot.second for slot in WORLD.schedule]
    for part in log.parts():
        given = part.decisions.columns
        week, into = np.divmod(given["time"], 7 * 86400)
        slot = week * WORLD.slots_per_week + np.searchsorted(seconds, into)
        actions[slot, given["member"]] = given["action"]
    for slot in actions:
        population.step(slot)
    request = plan_request(population, population.alive, planner)
    assert_array_equal(np.concatenate(ids), request.entity_ids)
    targets = WORLD.plans[planner.plan(request)]
    assert_array_equal(np.concatenate(chosen), targets)
    assert len(np.unique(targets, axis=0)) > 3


def test_a_job_over_a_log_continues_and_writes_to_the_store(here, capsys):
    store = ("store=shared", "store.name=logged", "store.folder=.")
    given = ("checkpoint=agent.zip", "members=log", "output=out", *store)
    assert call(capsys, "plan", *given).code == 0
    again = call(capsys, "plan", *given)
    assert "3 of 3 shards had been planned before" in again.err
    opened = SharedMemoryFeatureStore("logged", folder=here)
    opened.apply([plan_view(2)])
    ids = np.concatenate([read_part(WORLD, p)[0] for p in (here / "out").glob("part-*.parquet")])
    _, status = read_plans(opened, ids, WEEKS * 7 * 86400)
    assert (status == Status.PRESENT).all()
    (summary,) = [json.loads(p.read_text()) for p in here.glob("runs/plan/*/plan.json")][:1]
    assert summary["planned"][0]["week"] == WEEKS
    assert summary["planned"][0]["members"] == len(ids)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("week=3",), "week is 3 with a log of 5 weeks; allowed is 0 or 5"),
        (("beliefs_file=b",), "beliefs_file is 'b'"),
    ],
)
def test_what_a_log_decides_cannot_be_set(here, capsys, given, message):
    done = call(capsys, "plan", "checkpoint=agent.zip", "members=log", *given)
    assert done.code == 2
    assert message in done.err.splitlines()[-1]


def test_a_log_of_another_company_is_refused(here, capsys):
    w = logged_world("sparse")
    record(here / "other", w, PacedExecutor(), num_members=3, weeks=2)
    done = call(capsys, "plan", "checkpoint=agent.zip", "members=other")
    assert done.code == 2
    assert "a log of other channels, schedule, menu or weights" in done.err.splitlines()[-1]


def test_nobody_is_planned_for_where_all_have_churned(here, capsys):
    folder = here / "log" / "plans"
    name = sorted(path.name for path in folder.iterdir())[1]
    plans = pq.read_table(folder / name)
    begun = plans.filter(pc.equal(plans["week"], 0))
    pq.write_table(begun, folder / name)
    for table in ("decisions", "outcomes"):
        rows = pq.read_table(here / "log" / table / name)
        first = rows.filter(pc.less(rows["time"], 7 * 86400))
        pq.write_table(first, here / "log" / table / name)
    done = call(capsys, "plan", "checkpoint=agent.zip", "members=log", "output=out")
    assert done.code == 0, done.err
    counts = [len(read_part(WORLD, p)[0]) for p in sorted((here / "out").glob("part-*.parquet"))]
    assert counts[1] == 0
    assert min(counts[0], counts[2]) > 5


def test_a_member_in_two_parts_of_a_log_is_refused(here, capsys):
    parts = sorted((here / "log" / "plans").iterdir())
    shutil.copy(parts[0], parts[1])
    done = call(capsys, "plan", "checkpoint=agent.zip", "members=log")
    assert done.code == 2
    assert "entity id 0 comes twice" in done.err.splitlines()[-1]


def test_a_planner_that_needs_latents_is_refused_before_anything_is_read(here, capsys):
    planner = sf.slow.RolloutPlanner(privileged=True, hidden=8, rank=4).prepare(WORLD)
    planner.values = [planner._new_value(WORLD, torch.Generator().manual_seed(1))]
    agent = sf.SlowFastAgent(planner, PacedExecutor())
    agent.world = WORLD
    agent.save("privileged.zip")
    done = call(capsys, "plan", "checkpoint=privileged.zip", "members=log")
    assert done.code == 2
    assert "is privileged: it needs latents, which no log holds" in done.err.splitlines()[-1]
    assert not (here / "runs").exists()


def test_other_launches_are_another_job(here):
    log = sf.logs.read(here / "log")
    _, before = find_log_shards(log)
    write_launches(here / "log" / "launches.parquet", np.ones_like(log.launches))
    _, after = find_log_shards(sf.logs.read(here / "log"))
    assert before != after
