"""slowfast-fit: a log becomes a world file, numbers and a report."""

import json
from dataclasses import fields

import pytest
import yaml

import slowfast_rl as sf
from slowfast_rl.cli.guide import yaml_settings
from slowfast_rl.members.loading import config_folder
from tests.cli.calls import call

TINY = (
    "fitting.coarse_members=256", "fitting.coarse_steps=1", "fitting.members=512",
    "fitting.derivative_members=256", "fitting.steps=1",
    "parameters=[traits.responsiveness,churn.scale]",
)  # fmt: skip


@pytest.fixture
def log(tmp_path, monkeypatch, capsys):
    """A recorded log in the current directory."""
    monkeypatch.chdir(tmp_path)
    export = ("mode=export", "num_members=150", "weeks=5", "explore=0", "output=log")
    assert call(capsys, "logs", *export).code == 0
    return tmp_path / "log"


def test_a_log_becomes_a_world_file_numbers_and_a_report(log, capsys):
    policies = "policies=[never,3+1]"
    done = call(capsys, "fit", f"logs={log}", "base=pronounced", policies, *TINY)
    assert done.code == 0, done.err
    (folder,) = (log.parent / "runs" / "fit").iterdir()
    found = json.loads((folder / "fit.json").read_text())
    assert done.out.startswith(found["verdict"])
    names = ["traits.responsiveness.push", "traits.responsiveness.email", "churn.scale"]
    assert [p["name"] for p in found["parameters"]] == names
    world = sf.load_world(folder / "world.yaml")
    assert world.churn.scale == found["parameters"][2]["value"]
    page = (folder / "report.html").read_text()
    assert "Which world made this log?" in page
    assert [row["policy"] for row in found["policies"]] == ["never", "3+1"]
    assert found["policies"][0]["lift"][1] < found["policies"][0]["lift"][0]
    assert "Other policies in the fitted world" in page
    assert found["backtest"][0]["plans"] in done.out


def test_mistakes_are_told_in_one_line(log, capsys):
    for settings, said in (
        (("logs=nowhere",), "logs is 'nowhere'; allowed is the folder of a log"),
        ((f"logs={log}", "parameters=[churn.floor]"), "parameters has 'churn.floor'"),
        ((f"logs={log}", "rule=true"), "rule is true without a checkpoint"),
        ((f"logs={log}", "fitting.members=1"), "fitting.members is 1; allowed is"),
        ((f"logs={log}", "base=atlantis"), "unknown world 'atlantis'"),
        ((f"logs={log}", "policies=[3+99]"), "plan (3, 99) is not on the menu"),
        ((f"logs={log}", "policies=[never,never]"), "allowed is each once"),
        ((f"logs={log}", "policies=[nobody]"), "checkpoint 'nobody' does not exist"),
        ((f"logs={log.parent}",), "is no log: log.json cannot be read: there is none"),
        ((f"logs={log}", "members=64"), "did you mean 'fitting.members'?"),
    ):
        done = call(capsys, "fit", *settings)
        assert done.code == 2
        assert said in done.err, done.err
    assert not (log.parent / "runs" / "fit").exists()


def test_a_log_that_explored_is_not_fitted_as_one_that_did_not_without_a_word(log, capsys):
    export = ("mode=export", "num_members=150", "weeks=5", "explore=0.2", "output=explored")
    assert call(capsys, "logs", *export).code == 0
    warned = "sends were drawn among several candidates, and explore is 0"
    done = call(capsys, "fit", "logs=explored", "report=false", *TINY)
    assert warned in done.err
    done = call(capsys, "fit", "logs=explored", "explore=0.2", "report=false", *TINY)
    assert warned not in done.err
    done = call(capsys, "fit", f"logs={log}", "report=false", *TINY)
    assert warned not in done.err


def test_the_file_of_settings_says_what_their_class_says():
    file = config_folder() / "fitting" / "default.yaml"
    given = yaml_settings(file)
    declared = {f.name: f for f in fields(sf.FitSettings) if f.name != "seed"}
    assert given.keys() == declared.keys()
    for name, (value, meaning) in given.items():
        assert yaml.safe_load(value) == declared[name].default, name
        assert meaning == declared[name].metadata["text"], name
