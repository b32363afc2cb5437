"""Classes of a user's own on the command line, from the directory where the command is called."""

import json

import pytest

from slowfast_rl.agents import SlowFastAgent
from tests.cli.calls import TINY_COMPARISON
from tests.cli.test_installed import run

MINE = '''
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import slowfast_rl as sf

Path("imported").touch()


@dataclass(frozen=True, kw_only=True)
class MySettings(sf.Settings):
    sends: int = sf.setting(2, "pushes a week", low=0, high=14)


class MyPlanner(sf.slow.BasePlanner):
    """More pushes by what it learned."""

    name = "mine"
    Settings = MySettings

    def learn(self, world, *, seed=0):
        self.more = seed
        return self

    def plan(self, request):
        plan = self.world.plan_index((self.settings.sends + self.more, 1))
        return np.full(len(request.entity_ids), plan)

    def state(self):
        return {"more": self.more}

    @classmethod
    def from_state(cls, world, settings, state, **parts):
        planner = cls(settings).prepare(world)
        planner.more = state["more"]
        return planner
'''
NAME = "mine+quality,sends=1"
TRAIN = ("slow._target_=mine.MyPlanner", "+slow.sends=1", "fast=quality", "seed=2")


def rows(folder):
    board = json.loads((folder / "leaderboard.json").read_text())
    return {row["name"]: row for row in board["agents"]}


def test_an_own_planner_trains_is_refused_unasked_and_is_loaded_where_it_is_allowed(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    done = run(tmp_path, "slowfast_rl.cli.train", *TRAIN, *TINY_COMPARISON)
    assert done.returncode == 0, done.stderr
    (trained,) = tmp_path.glob("runs/train/*")
    board = rows(trained)
    assert {NAME, f"{NAME}_dealt", f"{NAME}_untrained"} <= set(board)
    most = board[NAME]["sends_per_week"]
    assert 2 < most["push"] <= 3  # 1 set and 2 learned, of the opted-in
    with pytest.raises(ValueError, match=r"'mine\.MyPlanner' is not allowed"):
        SlowFastAgent.load(trained / "checkpoints" / "final.zip")

    (tmp_path / "imported").unlink()
    compare = (f"checkpoints=['{trained}']", "agents=[never]", *TINY_COMPARISON)
    refused = run(tmp_path, "slowfast_rl.cli.compare", *compare)
    assert refused.returncode == 2
    assert_one_line(refused.stderr, "planner 'mine.MyPlanner' is not allowed", "allow=")
    assert not (tmp_path / "imported").exists()
    assert not (tmp_path / "runs" / "compare").exists()

    allowed = run(tmp_path, "slowfast_rl.cli.compare", *compare, "allow=[mine.MyPlanner]")
    assert allowed.returncode == 0, allowed.stderr
    (compared,) = tmp_path.glob("runs/compare/*")
    assert rows(compared)[NAME]["return"] == board[NAME]["return"]


def assert_one_line(text, *parts):
    assert text.startswith("error: ")
    assert text.count("\n") == 1, text
    for part in parts:
        assert part in text


HEAD = "import slowfast_rl as sf\n\n\n"
PLANNER = HEAD + 'class MyPlanner(sf.slow.BasePlanner):\n    name = "mine"\n\n'
PLAN = "    def plan(self, request):\n        return request.weeks * 0\n\n"


@pytest.mark.parametrize(
    ("module", "parts"),
    [
        (PLANNER, ["MyPlanner lacks plan"]),
        (
            PLANNER + PLAN + "    def learn(self, world, teacher):\n        return self\n",
            ["learn needs 'teacher'", "executor, total_opportunities"],
        ),
        (
            PLANNER + PLAN + "    class Settings(sf.Settings):\n        sends: int = 3\n",
            ["Settings is no dataclass", "@dataclass(frozen=True, kw_only=True)"],
        ),
        (
            HEAD + "MyPlanner = sf.fast.ExactPacer\n",
            ["ExactPacer is no planner but a pacer", "BasePlanner"],
        ),
        ("1 / 0\n", ["'mine.MyPlanner'", "ZeroDivisionError: division by zero"]),
        ("import nowhere\n", ["'mine.MyPlanner'", "No module named 'nowhere'"]),
        ("def\n", ["'mine.MyPlanner'", "SyntaxError: invalid syntax"]),
        ("", ["'mine.MyPlanner'", "has no attribute 'MyPlanner'"]),
    ],
    ids=["plan", "learn", "settings", "pacer", "fails", "imports", "syntax", "name"],
)
def test_a_class_that_is_wrong_is_told_in_one_line_before_training_and_leaves_no_run(
    module, parts, tmp_path
):
    (tmp_path / "mine.py").write_text(module)
    done = run(tmp_path, "slowfast_rl.cli.train", "slow._target_=mine.MyPlanner")
    assert (done.returncode, done.stdout) == (2, "")
    assert_one_line(done.stderr, *parts)
    assert not (tmp_path / "runs").exists()


def test_a_setting_of_an_own_class_is_checked_like_any_other(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    for given, message in (
        ("+slow.sends=15", "sends is 15; allowed is a whole number from 0 to 14"),
        ("+slow.colour=red", "unknown setting 'slow.colour'; allowed: sends"),
    ):
        done = run(tmp_path, "slowfast_rl.cli.train", "slow._target_=mine.MyPlanner", given)
        assert done.returncode == 2
        assert_one_line(done.stderr, message)
    assert not (tmp_path / "runs").exists()
