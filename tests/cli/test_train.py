import csv
import json
import re
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from types import SimpleNamespace

import pytest
import yaml
from hydra.types import RunMode
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from slowfast_rl.agents import SlowFastAgent
from slowfast_rl.cli import names
from slowfast_rl.evaluation.protocol import SEGMENTS
from tests.cli.calls import TINY, TINY_COMPARISON, Result, call, run_command

NAME = "ppo+quality"  # of the agent that TINY describes
CURVES = {NAME, "never"}  # in TensorBoard, without references
AGENTS = {NAME, f"{NAME}_dealt", f"{NAME}_untrained", "never", "always", "random"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A tiny training, from a directory of its own: its folder and what it printed."""
    folder = tmp_path_factory.mktemp("train")
    out, err = StringIO(), StringIO()
    with chdir(folder), redirect_stdout(out), redirect_stderr(err):
        code = run_command("train", *TINY, "seed=3")
    result = Result(code, out.getvalue(), err.getvalue())
    assert result.code == 0, result.err
    (run,) = (folder / "runs" / "train").iterdir()
    return run, result


def table_of(run):
    return list(csv.DictReader((run / "metrics.csv").read_text().splitlines()))


def events(folder):
    return EventAccumulator(str(folder), size_guidance={"tensors": 0, "scalars": 0}).Reload()


def test_a_training_writes_every_file_of_the_contract(trained):
    run, _ = trained
    assert {path.name for path in run.iterdir()} == {
        "config.yaml", "checkpoints", "metrics.csv", "tensorboard", "leaderboard.json",
        "leaderboard.md", "training.json", "command.json",
    }  # fmt: skip
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"final.zip", "latest.zip"}
    assert {path.name for path in (run / "tensorboard").iterdir()} == CURVES


def test_the_configuration_is_kept_in_full(trained):
    run, _ = trained
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["seed"] == 3
    assert config["world_name"] == "pronounced"
    assert config["slow"]["learning_rate"] == 0.001
    assert "hydra" not in config
    assert "${" not in (run / "config.yaml").read_text()


def test_the_checkpoint_is_the_trained_agent(trained):
    run, _ = trained
    agent = SlowFastAgent.load(run / "checkpoints" / "final.zip")
    assert agent.seed == 3
    assert 3000 < agent.train_opportunities <= 4000


def test_the_leaderboard_has_the_agents_and_what_the_contract_names(trained):
    run, _ = trained
    board = json.loads((run / "leaderboard.json").read_text())
    assert (board["world"], board["num_members"], board["weeks"]) == ("pronounced", 24, 3)
    assert {row["name"] for row in board["agents"]} == AGENTS
    row = board["agents"][0]
    assert (row["name"], row["seeds"], row["executor"]) == (NAME, [3], "default")
    assert set(row["by_segment"]) == set(SEGMENTS)
    assert row["return_ci95"][0] < row["return"] < row["return_ci95"][1]
    assert row["gap_closed"] is None
    assert 3000 < row["train_opportunities"] <= 4000


def test_metrics_are_a_table_with_evaluations_from_the_first_step_to_the_last(trained):
    run, _ = trained
    rows = table_of(run)
    evaluated = [row for row in rows if row["eval/return"]]
    trained_steps = [int(row["step"]) for row in rows if row["slow/train/loss"]]
    steps = [int(row["step"]) for row in evaluated]
    assert steps == sorted(steps)
    assert len(evaluated) >= 3
    board = json.loads((run / "leaderboard.json").read_text())
    agent = board["agents"][0]
    assert steps[-1] == agent["train_opportunities"] >= max(trained_steps)
    final = [float(row["final/return"]) for row in rows if row["final/return"]]
    assert final == [agent["return"]]


def test_tensorboard_shows_long_term_reward_first_and_the_week_as_step(trained):
    run, _ = trained
    for agent in CURVES:
        log = events(run / "tensorboard" / agent)
        tags = log.Tags()["scalars"]
        assert sorted(tag.split("/")[0] for tag in tags)[0] == "Long-term reward"
        for tag in ("Long-term reward/per_week", "Long-term reward/cumulative"):
            assert [event.step for event in log.Scalars(tag)] == [0, 1, 2]
        weekly = [event.value for event in log.Scalars("Long-term reward/per_week")]
        total = log.Scalars("Long-term reward/cumulative")[-1].value
        assert total == pytest.approx(sum(weekly), rel=1e-5)
        assert {tag for tag in tags if tag.startswith("store/")} == {
            "store/fallbacks", "store/refused_writes", "store/stale_reads",
            "store/mid_week_plan_changes",
        }  # fmt: skip
        for tag in ("viewing_days", "goodwill", "active_members", "sends_push", "opt_outs_email"):
            assert f"long_term/{tag}" in tags
        for segment in SEGMENTS:
            assert f"segment/{segment}/viewing_days" in tags


def test_tensorboard_has_trainings_curve_under_the_agent_and_level_lines_for_the_others(trained):
    run, _ = trained
    own = events(run / "tensorboard" / NAME)
    assert "slow/train/loss" in own.Tags()["scalars"]
    steps = [event.step for event in own.Scalars("eval/return")]
    assert steps == sorted(set(steps))
    assert len(steps) >= 3
    never = events(run / "tensorboard" / "never")
    assert [event.step for event in never.Scalars("eval/return")] == [0, steps[-1]]
    assert steps[-1] > 3000  # opportunities
    assert len({event.value for event in never.Scalars("eval/return")}) == 1
    assert not [tag for tag in never.Tags()["scalars"] if tag.startswith("slow/")]


def test_tensorboard_has_hparams_and_a_layout_with_the_interval_as_margin(trained):
    run, _ = trained
    log = events(run / "tensorboard" / NAME)
    assert "_hparams_/experiment" in log.summary_metadata
    content = log.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    chosen = HParamsPluginData.FromString(content).session_start_info.hparams
    assert chosen["planner"].string_value == "ppo"
    assert chosen["pacer"].string_value == "exact"
    assert chosen["ranker"].string_value == "quality"
    assert " hidden=8 " in chosen["overrides"].string_value
    assert chosen["slow.hidden"].number_value == 8
    (tensor,) = log.Tensors("custom_scalars__config__")
    layout = layout_pb2.Layout.FromString(tensor.tensor_proto.string_val[0])
    charts = {chart.title: chart for category in layout.category for chart in category.chart}
    tags = log.Tags()["scalars"]
    banded = [chart for chart in charts.values() if chart.margin.series]
    assert len(banded) == 3
    for chart in banded:
        (series,) = chart.margin.series
        assert {series.value, series.lower, series.upper} <= set(tags)
    assert layout.category[0].title == "Lead over never, 95 % band"
    for chart in charts.values():
        for pattern in chart.multiline.tag:
            assert [tag for tag in tags if re.search(pattern, tag)], pattern


def test_each_final_metric_is_written_once_to_tensorboard_and_to_the_table(trained):
    run, _ = trained
    row = table_of(run)[-1]
    for tag in ("final/return", "final/lead_over_never"):
        (event,) = events(run / "tensorboard" / NAME).Scalars(tag)
        assert event.value == pytest.approx(float(row[tag]), rel=1e-5)
        assert event.step == int(row["step"])


def test_tensorboard_has_the_configuration_as_text_and_a_histogram_over_members(trained):
    run, _ = trained
    log = events(run / "tensorboard" / NAME)
    (text,) = log.Tensors("configuration/text_summary")
    assert b"seed: 3" in text.tensor_proto.string_val[0]
    assert log.Tags()["histograms"] == ["members/lead_over_never"]


def test_the_printed_table_fits_120_columns_and_ranks_by_return(trained):
    _, result = trained
    lines = result.out.splitlines()
    assert max(map(len, lines)) <= 120 or str(trained[0]) in max(lines, key=len)
    start = next(i for i, line in enumerate(lines) if line.startswith("---"))
    table = lines[start + 1 : start + 1 + len(AGENTS)]
    assert {line.split()[0] for line in table} == AGENTS
    returns = [float(line.split()[1]) for line in table]
    assert returns == sorted(returns, reverse=True)


def test_a_short_run_without_a_terminal_draws_no_bars(trained):
    _, result = trained
    assert "\r" not in result.err
    assert result.err.startswith("Training ppo+quality in world pronounced, seed 3; results go to ")


def test_compare_finds_a_runs_checkpoint_and_measures_the_same_return(
    trained, capsys, tmp_path, monkeypatch
):
    run, _ = trained
    monkeypatch.chdir(tmp_path)
    result = call(
        capsys, "compare", f"checkpoints=['{run}']", "agents=[never,always]", "controls=false",
        *TINY_COMPARISON,
    )  # fmt: skip
    assert result.code == 0, result.err
    (folder,) = (tmp_path / "runs" / "compare").iterdir()
    assert {"config.yaml", "leaderboard.json", "leaderboard.md"} <= {
        path.name for path in folder.iterdir()
    }
    before, after = (
        {row["name"]: row for row in json.loads((f / "leaderboard.json").read_text())["agents"]}
        for f in (run, folder)
    )
    assert list(after) == [NAME, "never", "always"]
    for name in after:
        assert after[name]["return"] == before[name]["return"]
    assert after["never"]["paired_vs"] == NAME


def test_compare_refuses_an_agent_of_another_world(trained, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call(capsys, "compare", f"checkpoints=['{trained[0]}']", "world=costly")
    assert result.code == 2
    assert "'pronounced'" in result.err
    assert "'costly'" in result.err


def test_compare_refuses_an_agent_trained_on_the_compared_members(
    trained, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    result = call(capsys, "compare", f"checkpoints=['{trained[0]}']", "population_seed=3")
    assert result.code == 2
    assert "seed is 3" in result.err
    assert list(tmp_path.iterdir()) == []


def test_the_same_command_trains_the_same_agent_in_a_sweep_too(
    trained, capsys, tmp_path, monkeypatch
):
    run, _ = trained
    monkeypatch.chdir(tmp_path)
    result = call(capsys, "train", "-m", *TINY, "seed=3,4")
    assert result.code == 0, result.err
    (sweep,) = (tmp_path / "runs" / "train-sweep").iterdir()
    first, same, other = (
        [row["slow/train/loss"] for row in table_of(folder) if row["slow/train/loss"]]
        for folder in (run, sweep / "0", sweep / "1")
    )
    assert len(first) >= 2
    assert same == first
    assert other != first


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("utility+coin", ("slow=utility", "slow.num_members=96", "slow.weeks=16", "fast=coin")),
        ("segments+quality", ("slow=segments", "slow.num_members=24", "slow.weeks=3",
         "slow.rounds=1", "fast=quality")),
        ("rollouts+quality", ("slow=rollouts", "slow.states=24", "slow.ages=4", "slow.horizon=4",
         "agent.plans_for=own", "slow.weeks_between=2", "slow.epochs=1", "fast=quality",
         "total_opportunities=4000")),
    ],
)  # fmt: skip
def test_every_planner_trains_from_the_command_line(name, parts, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    often = "evaluation.every_opportunities=2000"
    result = call(capsys, "train", *TINY_COMPARISON, often, *parts, f"name={name}")
    assert result.code == 0, result.err
    (run,) = tmp_path.glob("runs/train/*")
    board = json.loads((run / "leaderboard.json").read_text())
    assert name in {row["name"] for row in board["agents"]}
    assert SlowFastAgent.load(run / "checkpoints" / "final.zip").train_opportunities > 0


def test_a_training_writes_a_report_with_its_figures(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call(capsys, "train", *TINY, "report=true", "hydra.run.dir=run")
    assert result.code == 0, result.err
    page = (tmp_path / "run" / "report.html").read_text()
    assert f"<td>{NAME}</td>" in page
    assert "slowfast-train" in page  # the command
    assert (tmp_path / "run" / "figures" / "long_term.png").is_file()
    tags = events(tmp_path / "run" / "tensorboard" / NAME).Tags()["images"]
    assert set(tags) == {f"figures/{t}" for t in ("plans", "sends by segment", "one member's year")}
    assert "Report " in result.out


def test_without_the_extra_a_training_says_what_it_leaves_out(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "slowfast_rl.evaluation.report", None)
    result = call(capsys, "train", *TINY, "report=true", "hydra.run.dir=run")
    assert result.code == 0, result.err
    assert "report.html and figures are left out: " in result.err
    assert (tmp_path / "run" / "leaderboard.json").is_file()
    assert not (tmp_path / "run" / "report.html").exists()


def test_the_jobs_of_a_sweep_share_a_log_directory_with_each_baseline_once(
    capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    tiny = [line for line in TINY if not line.startswith("name=")]
    result = call(capsys, "train", "-m", "seed=1,2", *tiny, "hydra.sweep.dir=sweep")
    assert result.code == 0, result.err
    runs = {path.name: list(path.iterdir()) for path in (tmp_path / "sweep/tensorboard").iterdir()}
    assert sorted(runs) == ["never", f"{NAME},seed=1", f"{NAME},seed=2"]  # what differs, no more
    assert len(runs["never"]) == 1
    assert not list((tmp_path / "sweep" / "0").glob("tensorboard"))


def test_the_jobs_of_a_sweep_over_the_evaluation_have_baselines_of_their_own(
    capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    tiny = [line for line in TINY if not line.startswith(("name=", "weeks="))]
    result = call(capsys, "train", "-m", "weeks=2,3", *tiny, "hydra.sweep.dir=sweep")
    assert result.code == 0, result.err
    folder = tmp_path / "sweep/tensorboard"
    runs = [f"{name},weeks={weeks}" for name in ("never", NAME) for weeks in (2, 3)]
    assert sorted(path.name for path in folder.iterdir()) == runs
    for weeks in (2, 3):
        curve = events(folder / f"never,weeks={weeks}")
        assert len(curve.Scalars("Long-term reward/per_week")) == weeks


def test_the_names_of_baselines_say_all_that_differs_in_their_evaluation(monkeypatch):
    given = {"seed": "1", "slow.hidden": "8", "evaluation.every_opportunities": "5"}

    def suffix(**more):
        config = SimpleNamespace(mode=RunMode.MULTIRUN)
        monkeypatch.setattr(names.HydraConfig, "initialized", lambda: True)
        monkeypatch.setattr(names.HydraConfig, "get", lambda: config)
        monkeypatch.setattr(names, "overrides", lambda telling_apart: given | more)
        return names.evaluation_suffix()

    assert suffix() == ""
    for key in ("world", "num_members", "luck_seed", "population_seed"):
        assert suffix(**{key: "7"}) == f",{key}=7"
    assert suffix(world_file="a/b.yaml") == ",world_file=a-b.yaml"
    assert suffix(world_overrides="{a.b: 1}") == ",world_overrides={a.b: 1}"
    assert suffix(**{"evaluation.burn_in": "0", "world.menu": "1"}) == ",burn_in=0,world.menu=1"
    many = [suffix(weeks="2", num_members="2", luck_seed=seed) for seed in "12"]
    assert all(re.fullmatch(",3_settings_[0-9a-f]{6}", name) for name in many)
    assert len(set(many)) == 2
