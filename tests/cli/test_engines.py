"""engine=ray: trainings and comparisons end with the results of one process."""

import json
from pathlib import Path

import pytest
from numpy.testing import assert_array_equal

from slowfast_rl.agents import SlowFastAgent
from tests.cli.calls import TINY, TINY_COMPARISON, call
from tests.cli.resuming import table_of

ROLLOUTS = (
    *(setting for setting in TINY if not setting.startswith(("slow", "total", "name"))),
    "slow=rollouts", "slow.states=1100", "slow.branches=2", "slow.ages=2", "slow.weeks_between=1",
    "slow.horizon=2", "slow.hold=1", "slow.hidden=8", "slow.epochs=1",
    "total_opportunities=1000000", "evaluation.every_opportunities=300000",
)  # fmt: skip


def rows_of(folder: Path):
    """The rows of a leaderboard, without what is measured by the clock."""
    rows = json.loads((folder / "leaderboard.json").read_text())["agents"]
    return [{k: v for k, v in row.items() if k != "train_cpu_seconds"} for row in rows]


@pytest.mark.ray
def test_a_training_on_ray_ends_with_the_weights_and_the_leaderboard_of_one_process(
    capsys, tmp_path, monkeypatch
):
    pytest.importorskip("ray", reason="the extra ray")
    monkeypatch.chdir(tmp_path)
    for name, engine in (("here", []), ("there", ["engine=ray", "workers=2"])):
        done = call(capsys, "train", *ROLLOUTS, *engine, f"hydra.run.dir={name}")
        assert done.code == 0, done.err
    assert rows_of(tmp_path / "there") == rows_of(tmp_path / "here")
    states = [
        SlowFastAgent.load(tmp_path / name / "checkpoints" / "final.zip").slow.state()
        for name in ("here", "there")
    ]
    for name, array in states[0].items():
        assert_array_equal(states[1][name], array)
    tables = [table_of(tmp_path / name / "metrics.csv") for name in ("here", "there")]
    assert tables[0] == tables[1]


@pytest.mark.ray
def test_a_comparison_on_ray_is_that_of_one_process(capsys, tmp_path, monkeypatch):
    pytest.importorskip("ray", reason="the extra ray")
    monkeypatch.chdir(tmp_path)
    for name, engine in (("here", []), ("there", ["engine=ray"])):
        given = ("agents=[random,always]", *TINY_COMPARISON, *engine, f"hydra.run.dir={name}")
        done = call(capsys, "compare", *given)
        assert done.code == 0, done.err
    assert rows_of(tmp_path / "there") == rows_of(tmp_path / "here")


@pytest.mark.parametrize("command", ["train", "compare"])
def test_workers_that_nothing_would_use_are_an_error(command, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = call(capsys, command, "workers=2")
    assert done.code == 2
    assert "workers is 2 with engine=local; allowed is null, or engine=ray" in done.err
