"""slowfast-plan and slowfast-serve: two processes, a store, and nothing else between them."""

import errno
import fcntl
import json
import subprocess
import sys
from types import SimpleNamespace
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slowfast_rl.agents import SlowFastAgent
from slowfast_rl.fast import AffinityRanker, PacedExecutor
from slowfast_rl.logs.parquet import read_columns, write_columns
from slowfast_rl.members.clock import DAY_SECONDS, WEEK_SECONDS
from slowfast_rl.members.features import weekly_features
from slowfast_rl.members.loading import load_world
from slowfast_rl.members.observations import opportunity_observation, weekly_observation
from slowfast_rl.members.population import Population
from slowfast_rl.policies.columns import columns
from slowfast_rl.services.store_clock import publish, published_views
from slowfast_rl.slow import FixedPlanner
from slowfast_rl.store import PLANS, SharedMemoryFeatureStore, plan_view
from slowfast_rl.store.files import write_text_atomically
from tests.agents.cases import WEIGHTS
from tests.cli.calls import Running, call, planned
from tests.cli.gates import Gated
from tests.services.decisions import read_log
from tests.slow.planners import random_rollouts
from tests.waiting import comes_true

WORLD = load_world("pronounced")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("agent") / "agent.zip"
    fast = PacedExecutor(ranker=AffinityRanker.with_weights(WEIGHTS))
    agent = SlowFastAgent(FixedPlanner(WORLD, (3, 1)), fast)
    agent.world = WORLD
    agent.save(path)
    return str(path)


def test_two_processes_plan_and_serve_and_either_can_be_replaced(checkpoint, tmp_path) -> None:
    name = f"test-{uuid4().hex}"
    store = ("store=shared", f"store.name={name}", f"store.folder={tmp_path}")
    planning = (f"checkpoint={checkpoint}", *store, "members=40", "loop=true")
    serving = (
        f"checkpoint={checkpoint}", *store, "num_members=40", f"folder={tmp_path}/served"
    )  # fmt: skip
    watched = SharedMemoryFeatureStore(name, tmp_path)
    watched.apply([plan_view(len(WORLD.channels)), *published_views(WORLD)])
    for week, version in enumerate((7, 8)):
        planner = Running("plan", *planning, f"policy_version={version}", cwd=tmp_path)
        assert planner.says("Plans go to")
        served = Gated("serve", *serving, f"weeks={week + 1}", cwd=tmp_path)
        while served.arrives():
            assert comes_true(lambda: planned(watched, np.arange(40)))
            served.pass_gate()
        assert served.ends_well(), served.path.read_text()
        assert planner.says(f"week {week}: ")  # it has written down what it did
        planner.kill()
    summary = json.loads((tmp_path / "served" / "serve.json").read_text())
    assert summary["days"] == 14
    assert summary["unreachable_days"] == 0
    log = read_log(tmp_path / "served" / "decisions")
    found = {key: log[key].to_numpy() for key in ("time", "plan_version", "plan_source")}
    week = found["time"] // WEEK_SECONDS
    assert set(found["plan_source"]) == {"plan"}
    assert set(found["plan_version"][week == 0]) == {7}
    assert set(found["plan_version"][week == 1]) == {8}
    plans = [json.loads(p.read_text()) for p in tmp_path.glob("runs/plan/*/plan.json")]
    assert sorted(plan["policy_version"] for plan in plans) == [7, 8]
    assert all(row["refused"] == 0 for plan in plans for row in plan["planned"])


BOTH_COMMANDS = """
import json, sys
from slowfast_rl.cli import plan, serve
for command, arguments in json.loads(sys.argv[1]):
    sys.argv = [command, *arguments]
    {"plan": plan, "serve": serve}[command].main()
print(json.dumps(sorted(sys.modules)))
"""


def test_planner_and_executor_import_nothing_that_only_learners_and_reports_need(tmp_path) -> None:
    # Each of these would take 60 to 90 MB of every process.
    agent = SlowFastAgent(random_rollouts(WORLD), PacedExecutor())
    agent.world = WORLD
    agent.save(tmp_path / "agent.zip")
    observations = weekly_observation(Population(WORLD, 5))
    names = [feature.name for feature in weekly_features(WORLD)]
    table = {"entity_id": np.arange(5)} | dict(zip(names, observations.T, strict=True))
    write_columns(tmp_path / "members.parquet", table)
    store = ("store=shared", "store.name=test", f"store.folder={tmp_path}")
    planning = ("checkpoint=agent.zip", "members=members.parquet", "beliefs_file=beliefs")
    serving = ("checkpoint=agent.zip", *store, "num_members=5", "weeks=1", "week_seconds=0")
    done = subprocess.run(
        [sys.executable, "-c", BOTH_COMMANDS, json.dumps([("plan", planning), ("serve", serving)])],
        capture_output=True, text=True, cwd=tmp_path, check=True,
    )  # fmt: skip
    modules = set(json.loads(done.stdout.splitlines()[-1]))
    assert not modules & {"pandas", "stable_baselines3", "tensorboard", "torch._dynamo", "sympy"}


def test_a_simulated_week_takes_the_seconds_that_were_asked_for(
    checkpoint, tmp_path, capsys, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    waits = []
    clock = SimpleNamespace(monotonic=lambda: 1000 + sum(waits), sleep=waits.append)
    monkeypatch.setattr("slowfast_rl.cli.serve.time", clock)
    served = call(
        capsys, "serve", f"checkpoint={checkpoint}", "store=shared", "store.name=test",
        f"store.folder={tmp_path}", "num_members=5", "weeks=2", "week_seconds=7",
    )  # fmt: skip
    assert served.code == 0, served.err
    moments = [
        7 * week + second / WEEK_SECONDS * 7
        for week in range(2)
        for second in sorted(
            [day * DAY_SECONDS for day in range(7)]
            + [slot.weekday * DAY_SECONDS + slot.second for slot in WORLD.schedule]
        )
    ]
    assert np.cumsum(waits) == pytest.approx(moments)


def test_opportunities_from_standard_input_are_answered_one_by_one(
    checkpoint, tmp_path, capsys, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = f"test-{uuid4().hex}"
    store = ("store=shared", f"store.name={name}", f"store.folder={tmp_path}")
    population = Population(WORLD, 3)
    observations = weekly_observation(population)
    names = [feature.name for feature in weekly_features(WORLD)]
    table = {"entity_id": np.array([4, 5, 6])} | dict(
        zip(names, observations.T.copy(), strict=True)
    )
    write_columns(tmp_path / "members.parquet", table)
    done = call(
        capsys, "plan", f"checkpoint={checkpoint}", *store, "members=members.parquet", "week=2"
    )
    assert done.code == 0, done.err
    (plans,) = tmp_path.glob("runs/plan/*/plans/*.parquet")
    found = read_columns(plans, ["entity_id", "week", "push_target", "email_cap"])
    assert found["entity_id"].tolist() == [4, 5, 6]
    assert found["week"].tolist() == [2, 2, 2]
    assert found["push_target"].tolist() == [3, 3, 3]

    obs = opportunity_observation(population, np.zeros((3, 2), np.int32))
    asked = [
        {"member": 4, "now": 2 * WEEK_SECONDS + 5, "observation": obs[0].tolist()},
        {"member": 9, "now": 2 * WEEK_SECONDS + 5, "observation": obs[1].tolist()},
        {"member": 4, "now": -1, "observation": obs[0].tolist()},
        {"member": 4, "now": 5, "observation": [1, 2]},
        {"now": 5},
    ]
    lines = [*(json.dumps(question) for question in asked), "no JSON", "[]", "[" * 100_000]
    far = columns(WORLD)["slots_left"]
    lines.append(json.dumps({"member": 4, "now": 5, "observation": _with(obs[0], far, 1e12)}))
    done = subprocess.run(
        [sys.executable, "-m", "slowfast_rl.cli.serve", f"checkpoint={checkpoint}", *store,
         "source=stdin", f"folder={tmp_path}/served"],
        input="\n".join(lines), capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(lines)
    assert answers[0]["plan_source"] == "plan"
    assert answers[0]["target"] in (3, 1)
    assert answers[1]["plan_source"] == "safe"
    assert 0 < answers[0]["propensity"] <= 1
    expected = (
        "now is -1", "observation needs", "is missing", "not JSON: Expecting", "the line is a list",
        "recursion", "slots_left = 1e+12",
    )  # fmt: skip
    for answer, words in zip(answers[2:], expected, strict=True):
        assert words in answer["error"]
    log = read_log(tmp_path / "served" / "decisions")
    assert log["member"].to_pylist() == [4, 9]
    assert log["reward"].null_count == 2


def test_what_was_answered_is_in_the_log_of_a_service_that_is_killed(checkpoint, tmp_path) -> None:
    command = [
        sys.executable, "-m", "slowfast_rl.cli.serve", f"checkpoint={checkpoint}", "store=shared",
        "store.name=killed", f"store.folder={tmp_path}", "source=stdin", "folder=served",
    ]  # fmt: skip
    obs = opportunity_observation(Population(WORLD, 20))
    lines = [
        json.dumps({"member": member, "now": 28_800, "observation": obs[member].tolist()}).encode()
        for member in range(20)
    ]
    lines[7:7] = [b'{"member":1,"now":0,"observation":[1' + b"0" * 400 + b"]}", b"\xff\xfe{}"]
    served = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    served.stdin.write(b"\n".join(lines) + b"\n")
    served.stdin.flush()
    answers = [json.loads(served.stdout.readline()) for _ in lines]
    served.kill()
    served.communicate()
    assert [answer["line"] for answer in answers] == list(range(1, 23))
    assert [answer["line"] for answer in answers if "error" in answer] == [8, 9]
    done = subprocess.run(command, input=b"", capture_output=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    log = read_log(tmp_path / "served" / "decisions")
    assert log["member"].to_pylist() == list(range(20))
    assert log["action"].to_pylist() == [a["action"] for a in answers if "action" in a]


def _feature_table(count: int) -> dict[str, np.ndarray]:
    observations = weekly_observation(Population(WORLD, count))
    names = [feature.name for feature in weekly_features(WORLD)]
    ids = {"entity_id": np.arange(count)}
    return ids | dict(zip(names, observations.T.astype(float), strict=True))


@pytest.mark.parametrize("value", [None, np.nan, np.inf, -1.0, 1e300])
def test_a_bad_cell_of_a_file_costs_its_member_a_plan_and_is_told(
    value, checkpoint, tmp_path, capsys, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    table = {name: column.tolist() for name, column in _feature_table(5).items()}
    table["push_opens_last_week"][3] = value
    pq.write_table(pa.table(table), "members.parquet")
    done = call(capsys, "plan", f"checkpoint={checkpoint}", "members=members.parquet")
    assert done.code == 0, done.err
    (plans,) = tmp_path.glob("runs/plan/*/plans/*.parquet")
    assert read_columns(plans, ["entity_id"])["entity_id"].tolist() == [0, 1, 2, 4]
    (summary,) = tmp_path.glob("runs/plan/*/plan.json")
    (row,) = json.loads(summary.read_text())["planned"]
    assert row["members"] == 4
    assert row["invalid"] == 1
    assert "1 without a plan: the observation of member 3 has push_opens" in done.err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tenure": ["a"] * 5}, "members.parquet has tenure of type string; allowed are numbers"),
        ({"tenure": [None] * 5}, "members.parquet has no valid row: the observation of member 0"),
        ({"entity_id": [0, 1, 2, 3, None]}, "entity_ids of dtype float64"),
        ({"entity_id": [0, 1, 2, 3, 3]}, "entity id 3 comes twice"),
        ({"tenure": None}, "members.parquet lacks the columns tenure"),
    ],
)
def test_a_file_that_cannot_be_planned_for_is_told_in_one_line(
    change, message, checkpoint, tmp_path, capsys, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    table = {name: column.tolist() for name, column in _feature_table(5).items()} | change
    pq.write_table(pa.table({k: v for k, v in table.items() if v is not None}), "members.parquet")
    done = call(capsys, "plan", f"checkpoint={checkpoint}", "members=members.parquet")
    assert done.code == 2
    (error,) = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert message in error


def _with(observation: np.ndarray, place: int, value: float) -> list[float]:
    changed = observation.tolist()
    changed[place] = value
    return changed


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        ("plan", ("members=0",), "members is 0"),
        ("plan", ("checkpoint=???",), "checkpoint is missing"),
        ("plan", ("checkpoint=nowhere",), "'nowhere' does not exist"),
        ("plan", ("stor.url=x",), "unknown setting 'stor'; did you mean 'store'?"),
        ("plan", (), "store is private to this process"),
        ("serve", (), "store is private to this process"),
        ("serve", ("store=shared",), "store is private to this process"),
        ("plan", ("members=nowhere.parquet",), "nowhere.parquet is no parquet file"),
        ("plan", ("members=x.parquet", "loop=true"), "allowed is a count"),
        ("plan", ("poll_seconds=0",), "poll_seconds is 0"),
        ("plan", ("store=shared", "store.name=new", "store.folder=."), "the store holds no clock"),
        ("serve", ("source=kafka",), "source is 'kafka'; allowed: simulation, stdin"),
        ("serve", ("week_seconds=-1",), "week_seconds is -1"),
        ("serve", ("world=calibrated",), "was trained in world 'pronounced'"),
        ("serve", ("store=redis", "store.url=redis://:x@localhost"), "SLOWFAST_REDIS_PASSWORD"),
        ("serve", ("store=redis", "store.namespace=a:b"), "namespace 'a:b'"),
        ("bench", ("redis_url=redis://:x@localhost",), "SLOWFAST_REDIS_PASSWORD"),
        ("compare", ("store=redis",), "store.namespace is 'slowfast'"),
        ("compare", ("mode=ac",), "mode is 'ac'; allowed: leaderboard, ab"),
        ("compare", ("mode=ab",), "with mode=ab two are allowed"),
    ],
)
def test_bad_input_is_one_line(
    command, arguments, message, checkpoint, tmp_path, capsys, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    agent = (f"checkpoint={checkpoint}",) if command in ("plan", "serve") else ()
    done = call(capsys, command, *agent, *arguments)
    assert done.code == 2
    errors = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]


def test_an_unreachable_store_is_waited_for_not_died_of(checkpoint, tmp_path) -> None:
    store = ("store=redis", "store.url=redis://127.0.0.1:1/0")
    planner = Running(
        "plan", f"checkpoint={checkpoint}", *store, "members=5", "loop=true", cwd=tmp_path
    )
    assert planner.says("waiting for the store: Redis at 127.0.0.1:1")
    served = Running(
        "serve", f"checkpoint={checkpoint}", *store, "num_members=5", "weeks=1", "week_seconds=0",
        f"folder={tmp_path}/served", cwd=tmp_path,
    )  # fmt: skip
    assert served.ends_well(), served.path.read_text()
    planner.kill()
    summary = json.loads((tmp_path / "served" / "serve.json").read_text())
    assert summary["unreachable_days"] == 7
    assert summary["fallbacks"] == 5


def test_a_planner_whose_disk_is_full_goes_on_and_writes_when_there_is_room(
    checkpoint, tmp_path, capsys, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = SharedMemoryFeatureStore("test", tmp_path)
    store.apply([plan_view(len(WORLD.channels)), *published_views(WORLD)])
    population, days = Population(WORLD, 5), iter(range(22))
    full = {"day": -1}

    def write_or_fail(path, content):
        if 3 <= full["day"] < 16:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_text_atomically(path, content)

    def sleep(seconds: float) -> None:
        """Let a day pass, on which all plans of the week are lost."""
        day = next(days, None)
        if day is None:
            raise KeyboardInterrupt
        full["day"] = day
        store.delete(PLANS, np.arange(5))
        publish(store, population, day * DAY_SECONDS, 7)

    clock = SimpleNamespace(sleep=sleep)
    monkeypatch.setattr("slowfast_rl.cli.plan.time", clock)
    monkeypatch.setattr("slowfast_rl.cli.plan.write_text_atomically", write_or_fail)
    done = call(
        capsys, "plan", f"checkpoint={checkpoint}", "store=shared", "store.name=test",
        f"store.folder={tmp_path}", "members=5", "loop=true", "beliefs_file=beliefs",
        "hydra.run.dir=planned",
    )  # fmt: skip
    assert done.code == 130, done.err
    assert [line for line in done.err.splitlines() if "files" in line] == [
        f"warning: week {week}: files cannot be written: [Errno 28] No space left on device"
        for week in range(3)
    ] + ["week 2: files are written again"]
    summary = json.loads((tmp_path / "planned" / "plan.json").read_text())
    assert [row["now"] // DAY_SECONDS for row in summary["planned"]] == list(range(22))
    assert (tmp_path / "beliefs").exists()


@pytest.mark.parametrize(
    ("command", "arguments", "begun"),
    [
        ("plan", ("members=5", "loop=true"), "Plans go to"),
        ("serve", ("num_members=5", "weeks=1"), "decisions go to"),
        ("serve", ("source=stdin",), "the store answers"),
    ],
)
def test_a_service_that_is_started_while_its_store_is_locked_waits_for_it(
    command, arguments, begun, checkpoint, tmp_path
) -> None:
    path = SharedMemoryFeatureStore("test", tmp_path).path
    with path.open("r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        service = Gated(
            command, f"checkpoint={checkpoint}", "store=shared", "store.name=test",
            f"store.folder={tmp_path}", *arguments, cwd=tmp_path,
        )  # fmt: skip
        assert service.says("another process has kept its lock"), service.path.read_text()
        assert service.arrives()  # it waits instead of ending
    service.pass_gate()
    assert service.says(begun), service.path.read_text()
    service.kill()


def test_a_single_planning_is_told_in_one_line_that_its_store_is_locked(
    checkpoint, tmp_path, capsys, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = SharedMemoryFeatureStore("test", tmp_path).path
    with path.open("r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = call(
            capsys, "plan", f"checkpoint={checkpoint}", "store=shared", "store.name=test",
            f"store.folder={tmp_path}", "members=5",
        )  # fmt: skip
    assert done.code == 2
    (error,) = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert "another process has kept its lock" in error


def test_two_checkpoints_are_tested_against_each_other(
    checkpoint, tmp_path, capsys, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    other = SlowFastAgent(FixedPlanner(WORLD, (5, 2)), PacedExecutor())
    other.world = WORLD
    other.save(tmp_path / "other.zip")
    done = call(
        capsys, "compare", "mode=ab", f"checkpoints=[{checkpoint},other.zip]", "num_members=60",
        "weeks=2", "evaluation.burn_in=1", "salt=3",
    )  # fmt: skip
    assert done.code == 0, done.err
    (path,) = tmp_path.glob("runs/compare/*/ab.json")
    results = json.loads(path.read_text())
    assert sum(results["members_per_arm"].values()) == 60
    assert list(results["effects"]) == ["slow", "fast", "interaction"]
    assert "interaction" in done.out
