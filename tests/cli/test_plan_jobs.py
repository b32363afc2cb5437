"""slowfast-plan on a folder of members: killed and called again, it plans each member once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import slowfast_rl as sf
from slowfast_rl.fast import PacedExecutor
from slowfast_rl.logs.parquet import read_columns
from slowfast_rl.members.loading import load_world
from slowfast_rl.store import SharedMemoryFeatureStore, Status, plan_view, read_plans
from tests.cli.calls import call
from tests.services.members_files import features, some_planner, write_members

WORLD = load_world("pronounced")
MEMBERS, ROW_GROUP, WEEK = 48, 6, 2
# A planner that notes whom it plans for, and at one call kills the command, in whose process or
# for which it runs.
DEADLY = """
import os
import signal
from pathlib import Path

import numpy as np

import slowfast_rl as sf

HERE = Path(__file__).parent


class Deadly(sf.slow.BasePlanner):
    name = "deadly"

    def plan(self, request):
        with open(HERE / "calls", "a") as file:
            file.write(" ".join(map(str, request.entity_ids)) + "\\n")
        kill = HERE / "kill"
        if kill.exists() and request.entity_ids[0] == int(kill.read_text()):
            kill.unlink()
            os.kill(int((HERE / "pid").read_text()), signal.SIGKILL)
        columns = request.observations.sum(axis=1) * 1000
        return np.where(request.feasible.all(axis=1), columns.astype(int) % 7, 0)
"""
ENGINES = ["local", pytest.param("ray", marks=pytest.mark.ray)]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with 8 row groups in two files, an agent, and the planner's module."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deadly.py").write_text(DEADLY)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("deadly", None)
    from deadly import Deadly

    observations, ids = features(WORLD, MEMBERS), np.arange(MEMBERS) + 100
    write_members(tmp_path / "in/a.parquet", WORLD, ids[:18], observations[:18], ROW_GROUP)
    write_members(tmp_path / "in/b.parquet", WORLD, ids[18:], observations[18:], ROW_GROUP)
    agent = sf.SlowFastAgent(Deadly().prepare(WORLD), PacedExecutor())
    agent.world = WORLD
    agent.save(tmp_path / "agent.zip")
    return tmp_path


def start(here: Path, *arguments: str) -> int:
    """Run the command in a process of its own, of whose id its planner knows."""
    command = [
        sys.executable, "-m", "slowfast_rl.cli.plan", "checkpoint=agent.zip", "members=in",
        "allow=[deadly.Deadly]", f"week={WEEK}", "output=out", "store=shared", "store.name=jobs",
        "store.folder=.", *arguments,
    ]  # fmt: skip
    # What was killed leaves workers, which end when they miss it: they must not keep a pipe open.
    with open(here / "log", "a") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=here)
        (here / "pid").write_text(str(process.pid))
        return process.wait()


def skip_without(engine: str) -> None:
    if engine == "ray":
        pytest.importorskip("ray", reason="the extra ray")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_killed_job_continues_with_the_same_command_and_plans_each_member_once(here, engine):
    skip_without(engine)
    given = [f"engine={engine}", *(["workers=2"] if engine == "ray" else [])]
    (here / "kill").write_text("124")  # the first member of the fifth row group
    assert start(here, *given) == -9, (here / "log").read_text()
    # A worker of Ray ends after the command: it may still complete the shard that it has.
    done = [int(path.stem.removeprefix("part-")) for path in (here / "out").glob("part-*.json")]
    assert 0 < len(done) < MEMBERS // ROW_GROUP
    assert start(here, *given) == 0, (here / "log").read_text()
    calls = (here / "calls").read_text().splitlines()
    for shard in done:  # is not planned again
        first = 100 + ROW_GROUP * shard
        assert calls.count(" ".join(map(str, range(first, first + ROW_GROUP)))) == 1
    summary = json.loads(max(here.glob("runs/plan/*/plan.json")).read_text())
    assert summary["shards"] == MEMBERS // ROW_GROUP
    assert summary["continued"] >= len(done)
    assert summary["planned"][0]["members"] == MEMBERS
    assert summary["planned"][0]["refused"] == 0
    check_plans(here, engine, given)


def check_plans(here: Path, engine: str, given: list[str]) -> None:
    """Each member has one plan, in files and store, which is that of a job that nobody killed."""
    parts = sorted((here / "out").glob("part-*.parquet"))
    ids = [read_columns(path, ["entity_id"])["entity_id"] for path in parts]
    assert_array_equal(np.concatenate(ids), np.arange(MEMBERS) + 100)
    store = SharedMemoryFeatureStore("jobs", here)
    store.apply([plan_view(len(WORLD.channels))])
    plan, status = read_plans(store, np.concatenate(ids), WEEK * 7 * 86_400)
    assert (status == Status.PRESENT).all()
    assert len(np.unique(plan.target, axis=0)) > 3
    assert start(here, "output=whole", "store.name=other") == 0, (here / "log").read_text()
    whole = sorted((here / "whole").glob("part-*.parquet"))
    assert [path.read_bytes() for path in parts] == [path.read_bytes() for path in whole]


@pytest.mark.ray
@pytest.mark.parametrize("workers", [1, 2])
def test_ray_plans_as_this_process_does_for_any_number_of_workers(here, workers, capsys):
    pytest.importorskip("ray", reason="the extra ray")
    agent = sf.SlowFastAgent(some_planner(WORLD), PacedExecutor())
    agent.world = WORLD
    agent.save(here / "nets.zip")
    given = ("checkpoint=nets.zip", "members=in", f"week={WEEK}")
    done = call(capsys, "plan", *given, "output=local")
    assert done.code == 0, done.err
    done = call(capsys, "plan", *given, "output=ray", "engine=ray", f"workers={workers}")
    assert done.code == 0, done.err
    names = sorted(path.name for path in (here / "local").iterdir())
    assert names == sorted(path.name for path in (here / "ray").iterdir())
    for name in names:
        assert (here / "local" / name).read_bytes() == (here / "ray" / name).read_bytes()


def test_without_an_output_the_same_command_continues_in_a_folder_of_its_own(here, capsys):
    given = ("checkpoint=agent.zip", "members=in", "allow=[deadly.Deadly]")
    assert call(capsys, "plan", *given).code == 0
    again = call(capsys, "plan", *given)
    assert again.code == 0
    assert "8 of 8 shards had been planned before" in again.err
    assert call(capsys, "plan", *given, "week=1").code == 0
    assert len(list(here.glob("runs/plan/job-*"))) == 2
    lines = (here / "calls").read_text().splitlines()
    assert len(lines) == 2 * MEMBERS // ROW_GROUP


def test_two_commands_do_not_plan_into_one_folder_at_once(here, capsys):
    import fcntl

    (here / "out").mkdir()
    handle = os.open(here / "out", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    given = ("checkpoint=agent.zip", "members=in", "allow=[deadly.Deadly]", "output=out")
    done = call(capsys, "plan", *given)
    os.close(handle)
    assert done.code == 2
    assert "out is in use by another process" in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("workers=2",), "workers is 2 with engine=local; allowed is null, or engine=ray"),
        (("engine=spark",), "engine is 'spark'; allowed: local, ray"),
        (("beliefs_file=x",), "beliefs_file is 'x' with members=in and engine=local; allowed is"),
        (("members=in/a.parquet", "output=x"), "output is 'x' with members=in/a.parquet"),
        (("output=in/plans",), "output is 'in/plans', which lies in members=in"),
        (("output=./in",), "output is './in', which lies in members=in"),
        (("members=40", "engine=ray"), "members is 40 with engine=ray; allowed is a parquet file"),
        (("engine=ray", "workers=0"), "workers is 0; allowed is"),
    ],
)
def test_a_setting_that_a_job_cannot_use_is_told_in_one_line(arguments, message, here, capsys):
    if "engine=ray" in arguments and "workers=0" not in arguments:
        pytest.importorskip("ray", reason="the extra ray")
    given = ("checkpoint=agent.zip", "members=in", "allow=[deadly.Deadly]")
    done = call(capsys, "plan", *given, *arguments)
    assert done.code == 2
    (error,) = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert message in error


def test_a_missing_ray_is_told_in_one_line_that_names_the_extra(here, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "slowfast_rl.policies.ray_workers", raising=False)
    monkeypatch.delattr("slowfast_rl.policies.ray_workers", raising=False)
    done = call(capsys, "plan", "checkpoint=agent.zip", "members=in", "engine=ray")
    assert done.code == 2
    assert done.err.splitlines()[-1] == (
        "error: engine=ray needs Ray: pip install 'slowfast_rl[ray]'"
    )


def test_a_missing_pyarrow_is_told_in_one_line_that_names_the_extra(here, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for name in ("logs.parquet", "services.batch_plans"):
        monkeypatch.delitem(sys.modules, f"slowfast_rl.{name}", raising=False)
    given = ("checkpoint=agent.zip", "members=in", "allow=[deadly.Deadly]")
    done = call(capsys, "plan", *given)
    assert done.code == 2
    assert done.err.splitlines()[-1] == (
        "error: parquet files need pyarrow: pip install 'slowfast_rl[offline]'"
    )
