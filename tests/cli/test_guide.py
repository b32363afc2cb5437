import json
from datetime import datetime
from itertools import count

import pytest

from tests.cli.calls import TINY_COMPARISON, call


@pytest.mark.parametrize(
    "command", ["train", "compare", "bench", "references", "plan", "serve", "logs", "fit", "ope"]
)
def test_help_teaches_by_three_examples_and_runs_nothing(command, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call(capsys, command, "--help")
    assert (result.code, result.err) == (0, "")
    name = f"slowfast_rl.cli.{command}" if command == "references" else f"slowfast-{command}"
    examples = [line for line in result.out.splitlines() if line.startswith("  ") and name in line]
    assert len(examples) == 3
    assert list(tmp_path.iterdir()) == []


def test_hydra_shows_the_composed_configuration(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call(capsys, "train", "--cfg", "job", "slow.hidden=17")
    assert result.code == 0
    assert "hidden: 17" in result.out
    assert list(tmp_path.iterdir()) == []


def test_a_world_of_the_users_own_config_dir_is_found_wherever_the_flag_stands(
    capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine" / "world").mkdir(parents=True)
    (tmp_path / "mine" / "world" / "quiet.yaml").write_text(
        "base: calibrated\nmenu:\n  push: [0, 2]\n"
    )
    arguments = ["agents=[always]", "--config-dir", "mine", "world=quiet", *TINY_COMPARISON]
    result = call(capsys, "compare", *arguments)
    assert result.code == 0, result.err
    (path,) = tmp_path.glob("runs/compare/*/leaderboard.json")
    board = json.loads(path.read_text())
    assert board["world"] == "quiet"
    assert board["agents"][0]["sends_per_week"]["push"] <= 2


def test_the_world_called_null_can_be_named(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call(capsys, "compare", "world=null", "agents=[never]", *TINY_COMPARISON)
    assert result.code == 0, result.err
    (path,) = tmp_path.glob("runs/compare/*/leaderboard.json")
    assert json.loads(path.read_text())["world"] == "null"


def test_two_runs_of_the_same_second_have_folders_of_their_own(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ticks = count()

    class OneSecond(datetime):
        """Time that does not leave the second, however long the runs take."""

        @classmethod
        def now(cls, tz=None):
            return cls(2026, 1, 1, microsecond=next(ticks))

    monkeypatch.setattr("hydra.core.utils.datetime", OneSecond)
    for _ in range(2):
        assert call(capsys, "compare", "agents=[never]", *TINY_COMPARISON).code == 0
    runs = [path.parent.name for path in tmp_path.glob("runs/compare/*/leaderboard.json")]
    assert len(runs) == 2
    assert all(name.startswith("2026-01-01_00-00-00-") for name in runs)
