import importlib
import re
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from slowfast_rl.cli.schema import build
from slowfast_rl.cli.settings import EvaluatedSettings
from slowfast_rl.cli.train import Train
from slowfast_rl.evaluation.protocol import EvaluationProtocol
from slowfast_rl.evaluation.references import load_references
from slowfast_rl.fitting import FitSettings
from slowfast_rl.members.loading import config_folder, load_world, world_names
from tests.agents.cases import untrained_agent
from tests.cli.calls import call, settings
from tests.logs.cases import write_log

CONFIGS = config_folder()
OPTIONS = sorted(
    f"{path.parent.name}={path.stem}"
    for path in CONFIGS.glob("*/*.yaml")
    if path.parent.name != "hydra"
)
NEEDS = {"slow=cql": "d3rlpy", "experiment=offline_cql": "d3rlpy"}  # packages of extras
COMMANDS = ("train", "compare", "bench", "references", "plan", "serve", "logs", "fit", "ope")
SERVED = ("plan", "serve")  # need a checkpoint and a store that processes share
MAKERS = {
    "train": "Train",
    "compare": "Compare",
    "bench": "Bench",
    "references": "ComputeReferences",
    "plan": "Plan",
    "serve": "Serve",
    "logs": "Logs",
    "fit": "FitWorld",
    "ope": "Ope",
}


def make(command, *overrides):
    module = importlib.import_module(f"slowfast_rl.cli.{command}")
    return getattr(module, MAKERS[command])(settings(command, *overrides))


def test_every_yaml_file_is_a_command_a_part_of_all_or_an_option():
    top = {path.stem for path in CONFIGS.glob("*.yaml")}
    assert top == {*COMMANDS, "base"}
    assert {path.parent.name for path in CONFIGS.glob("*/*.yaml")} == {
        "world", "agent", "slow", "fast", "store", "evaluation", "fitting", "experiment", "hydra",
    }  # fmt: skip


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_composes_and_builds(option):
    group, name = option.split("=")
    if option in NEEDS:
        pytest.importorskip(NEEDS[option])
    if group == "store":
        build(settings("train", option)["store"], "store")
        return
    if group == "fitting":
        assert FitSettings(**settings("fit", option)["fitting"]) == FitSettings()
        return
    built = make("train", f"{group}='{name}'")
    if group == "world":
        assert built.world == load_world(name)
    elif group == "slow":
        assert built.agent.slow.name == name
    elif group == "fast":
        fast = built.agent.fast
        assert name in (fast.name, fast.ranker.name, fast.pacer.name)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_builds_with_its_defaults(command, tmp_path):
    overrides = ["agents=[never,always]"] if command == "compare" else []
    if command in SERVED:
        agent = untrained_agent(load_world("pronounced"))
        agent.save(tmp_path / "agent.zip")
        overrides = [f"checkpoint={tmp_path}/agent.zip", "store=redis"]
    elif command == "logs":
        overrides = ["mode=export"]
    elif command == "fit":
        write_log("eventful", tmp_path, num_members=2, weeks=1)
        overrides = [f"logs={tmp_path}/log"]
    elif command == "ope":
        write_log("eventful", tmp_path, num_members=2, weeks=1)
        overrides = [f"logs={tmp_path}/log", "policies=[never]"]
    assert make(command, *overrides).settings.torch_threads == 1


def test_the_defaults_are_the_protocol_of_every_number_we_report():
    assert Train(settings("train")).protocol == EvaluationProtocol()


def test_an_agent_is_called_what_it_is_or_what_the_command_says():
    assert make("train").agent.name == "slowfast"
    assert make("train", "slow=ppo", "fast=quality").agent.name == "ppo+quality"
    assert make("train", "slow=ppo", "name=mine").agent.name == "mine"


@pytest.mark.parametrize("world", ["pronounced", "calibrated"])
def test_references_of_the_default_cases_come_with_the_library(world):
    protocol = EvaluationProtocol()
    references = load_references(load_world(world), protocol)
    assert references is not None
    assert references.best_fixed.shape == (protocol.num_members,)


def test_an_experiment_changes_settings_of_the_command_and_of_all_commands(tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(
        "# @package _global_\ntotal_opportunities: 17\nweeks: 3\nslow: {hidden: 5}\n"
    )
    built = make("train", f"hydra.searchpath=['file://{tmp_path}']", "experiment=mine")
    assert built.settings.total_opportunities == 17
    assert built.protocol.weeks == 3
    assert built.agent.slow.settings.hidden == 5


@pytest.mark.parametrize("command", COMMANDS)
def test_help_explains_every_setting_of_the_yaml_files(command, capsys):
    text = call(capsys, command, "--help").out
    for file in ("base", command):
        for name, value in yaml.safe_load((CONFIGS / f"{file}.yaml").read_text()).items():
            if name not in ("defaults", "hydra") and not str(value).startswith("${"):
                assert re.search(rf"^  {name}=\S.*\s+\w", text, re.MULTILINE), name
    for name in world_names():
        assert name in text
    assert max(map(len, text.splitlines())) <= 100


def test_help_explains_the_planners_settings_in_the_constructors_own_words(capsys):
    text = call(capsys, "train", "--help").out
    assert re.search(r"^  learning_rate=0.001 +\w", text, re.MULTILINE)
    assert re.search(r"^  hold=4 +weeks for which a branch", text, re.MULTILINE)


def test_no_setting_of_a_command_is_without_a_yaml_value():
    base = yaml.safe_load((CONFIGS / "base.yaml").read_text())
    groups = {"world", "evaluation", "references", "report"}  # of commands that evaluate
    assert {field.name for field in fields(EvaluatedSettings)} == (
        set(base) - {"defaults"}
    ) | groups


def test_a_setting_of_the_planner_is_taken_from_the_command_line():
    planner = make("train", "slow.learning_rate=1e-4", "slow.hold=8").agent.slow
    assert planner.settings.learning_rate == 1e-4
    assert planner.settings.hold == 8
    assert planner.settings.horizon == 20


@pytest.mark.parametrize(
    "override",
    [
        "world_overrides={opt_out.hazard: 0.002}",
        "world_overrides={opt_out.hazard:{push:0.002,email:0.002}}",
        "world_overrides={opt_out:{hazard:0.002}}",
    ],
)
@pytest.mark.parametrize("world", ["pronounced", "null"])
def test_world_overrides_reach_the_world_whether_or_not_its_file_has_them(world, override):
    choice = "world='null'" if world == "null" else f"world={world}"
    assert make("train", choice, override).world == load_world(world, {"opt_out.hazard": 0.002})


def test_world_overrides_reach_a_world_file(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text("base: calibrated\nchurn: {floor: 0.001}\n")
    world = make("train", f"world_file={path}", "world_overrides={churn.scale: 0.03}").world
    assert world == load_world(path, {"churn.scale": 0.03})
    assert (world.name, world.churn.floor, world.churn.scale) == ("mine", 0.001, 0.03)
