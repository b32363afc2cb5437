"""slowfast-train logs=: training on a log alone, which the world then judges."""

import json

import pytest

from slowfast_rl.agents import Agent
from slowfast_rl.slow import UtilityPlanner
from tests.cli.calls import call
from tests.logs.learning import recorded

SMALL = ("num_members=24", "weeks=2", "evaluation.burn_in=1", "evaluation.streams=[0]")


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """A small log."""
    return recorded(tmp_path_factory.mktemp("log") / "log", num_members=200, weeks=8)


def test_an_agent_trained_on_a_log_stands_in_a_leaderboard(log, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    done = call(
        capsys, "train", f"logs={log.folder}", "experiment=utility", "slow.window=2",
        "log_rows=2000", *SMALL, "report=false", "hydra.run.dir=run",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert f"on log {log.folder}" in done.err
    agent = Agent.load(tmp_path / "run" / "checkpoints" / "final.zip")
    expected = UtilityPlanner(window=2).learn_from_log(log, max_rows=2000).state()
    for name, array in agent.slow.state().items():
        assert (array == expected[name]).all()
    first = json.loads((tmp_path / "run" / "leaderboard.json").read_text())["agents"]
    row = next(row for row in first if row["name"] == "utility,window=2")
    assert row["train_opportunities"] == 0
    assert json.loads((tmp_path / "run" / "training.json").read_text())["turns"] == []


@pytest.mark.parametrize("experiment", ["slowfast", "ppo", "threshold", "fast_ppo"])
def test_an_experiment_that_needs_a_simulator_stops_and_names_those_that_do_not(
    experiment, log, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    done = call(capsys, "train", f"logs={log.folder}", f"experiment={experiment}", *SMALL)
    assert done.code == 2
    assert "cannot learn from a log" in done.err
    assert done.err.strip().endswith("experiments that can: fixed, offline_cql, segments, utility")
    assert done.err.strip().count("\n") == 0
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("total_opportunities=1000", "a budget of 1000 is given with logs; allowed is null"),
        ("world_overrides={menu: {push: [0, 1]}}", "differ in menu; allowed is a world with"),
        ("logs=elsewhere", "elsewhere is no log: log.json cannot be read"),
    ],
)
def test_what_does_not_fit_the_log_is_said_in_one_line(
    setting, message, log, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    given = [f"logs={log.folder}", "experiment=utility", *SMALL]
    name = setting.partition("=")[0]
    given = [line for line in given if not line.startswith(f"{name}=")]
    done = call(capsys, "train", *given, setting)
    assert done.code == 2
    assert message in done.err
    assert not (tmp_path / "runs").exists()
