"""slowfast-ope: what other policies would have earned in a log."""

import json

import pytest

import slowfast_rl as sf
from tests.cli.calls import TINY, call

LOG = ("mode=export", "num_members=120", "weeks=5", "seed=7", "explore=0.4", "output=log")


@pytest.fixture
def here(tmp_path, monkeypatch, capsys):
    """The current directory, with a log."""
    monkeypatch.chdir(tmp_path)
    assert call(capsys, "logs", *LOG, "hold_high=3").code == 0
    return tmp_path


def results(here):
    (path,) = (here / "runs" / "ope").glob("*/ope.json")
    return path.parent, json.loads(path.read_text())


def test_plans_are_evaluated_and_written_best_first(here, capsys):
    done = call(capsys, "ope", "logs=log", "policies=[never,3+1,always]", "horizon=2")
    assert done.code == 0, done.err
    folder, found = results(here)
    assert {row["policy"] for row in found["policies"]} == {"never", "3+1", "always"}
    lifts = [row["estimates"][0]["lift"] for row in found["policies"]]
    assert lifts == sorted(lifts, reverse=True)
    assert {row["estimates"][0]["method"] for row in found["policies"]} == {"doubly robust"}
    assert found["policies"][0]["diagnostics"]["effective_size"] > 0
    assert "doubly robust" in done.err
    page = (folder / "report.html").read_text()
    assert "What would other policies have earned in the log log?" in page
    assert all(name in page for name in ("never", "3+1", "always", "effective size"))


def test_weekly_plans_are_ranked_with_a_backtest(here, capsys):
    given = ("what=weekly", "policies=[never,5+2]", "horizon=2")
    assert call(capsys, "ope", "logs=log", *given).code == 0
    folder, found = results(here)
    assert found["policies"][0]["estimates"][0]["method"] == "fitted Q evaluation"
    warning = found["policies"][0]["warnings"][-1]  # of so small a log
    assert warning.startswith("no plan was drawn 30 times or more")
    assert warning[1:] in (folder / "report.html").read_text()
    log = sf.logs.read("log")
    planner = sf.slow.FixedPlanner(log.world, (5, 2))
    same = sf.ope.evaluate(log, planner, what="weekly", horizon=2).main.lift.mean
    (row,) = [row for row in found["policies"] if row["policy"] == "5+2"]
    assert row["estimates"][0]["lift"] == same


def test_an_agent_is_evaluated_on_plans_and_on_messages(here, capsys):
    assert call(capsys, "train", *TINY, "hydra.run.dir=agent").code == 0
    done = call(capsys, "ope", "logs=log", "policies=[agent]", "horizon=2", "report=false")
    assert done.code == 0, done.err
    done = call(capsys, "ope", "logs=log", "what=messages", "policies=[agent]", "report=false",
                "hydra.run.dir=messages")  # fmt: skip
    assert done.code == 0, done.err
    found = json.loads((here / "messages" / "ope.json").read_text())
    assert found["policies"][0]["kind"] == "messages"
    assert not (here / "messages" / "report.html").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["policies=[never]"], "logs is None; allowed is a folder that slowfast-logs wrote"),
        (["logs=log"], "policies is []; allowed is at least one, and each once"),
        (["logs=log", "policies=[never,never]"], "allowed is at least one, and each once"),
        (["logs=log", "policies=[3+99]"], "plan (3, 99) is not on the menu"),
        (["logs=log", "policies=[nobody]"], "checkpoint 'nobody' does not exist"),
        (["logs=log", "policies=[never]", "what=messages"], "checkpoint 'never' does not exist"),
        (["logs=log", "policies=[a]", "what=messages", "horizon=2"], "allowed is null"),
        (["logs=log", "policies=[never]", "what=all"], "allowed: plans, weekly, messages"),
    ],
)
def test_wrong_settings_are_one_line(here, capsys, given, message):
    done = call(capsys, "ope", *given)
    assert done.code == 2
    assert message in done.err
    assert done.err.count("\n") == 1
    assert not (here / "runs" / "ope").exists()


def test_a_log_that_cannot_answer_is_refused_with_the_reason(here, capsys):
    other = ("mode=export", "num_members=20", "weeks=2", "explore=0", "output=plain", "seed=3")
    assert call(capsys, "logs", *other).code == 0
    assert call(capsys, "train", *TINY, "fast/pacer=coin", "hydra.run.dir=agent").code == 0
    done = call(capsys, "ope", "logs=plain", "what=messages", "policies=[agent]")
    assert done.code == 2
    assert "% of the target's probability is on actions that the log could not contain" in done.err
    assert "the log answers for none of agent" in done.err
