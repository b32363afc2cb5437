"""Every experiment trains, is saved, is compared, and has a name of its own."""

import json
from importlib.util import find_spec

import pytest

from slowfast_rl.agents import Agent
from slowfast_rl.members.loading import config_folder
from tests.cli.calls import call, settings

SMALL = ("num_members=24", "weeks=2", "evaluation.burn_in=1", "evaluation.streams=[0]")
SHORT = {  # what makes a planner's training short
    "utility": ["slow.num_members=64", "slow.weeks=16"],
    "segments": ["slow.num_members=16", "slow.weeks=3"],
    "fixed": ["slow.num_members=16", "slow.weeks=3"],
    "threshold": ["agent.num_members=16", "agent.weeks=2"],
    "offline_cql": ["slow.num_members=16", "slow.weeks=3", "slow.gradient_steps=20"],
}
BUDGET = ["total_opportunities=20000"]
PARTS = {"threshold": ["agent.ranker.num_members=64", "agent.ranker.weeks=6"], "flat_ppo": []}
PACED = [  # of the executor's logs
    "fast.pacer.num_members=32", "fast.pacer.weeks=6", "fast.pacer.burn_in=2",
    "fast.ranker.num_members=32", "fast.ranker.weeks=6",
]  # fmt: skip
SINGLE = ("threshold", "flat_ppo", "hierarchical_ppo", "fast_ppo", "tiny")
EXPERIMENTS = sorted(path.stem for path in (config_folder() / "experiment").glob("*.yaml"))
INSTALLED = [e for e in EXPERIMENTS if e != "offline_cql" or find_spec("d3rlpy")]


def short(experiment):
    """The overrides of a short training."""
    training = SHORT.get(experiment, BUDGET)
    return [f"experiment={experiment}", *SMALL, *training, *PARTS.get(experiment, PACED)]


def test_the_experiments_are_those_of_the_contract():
    assert set(EXPERIMENTS) == {
        "slowfast", "slowfast_own", "plain_rollouts", "privileged", "utility", "segments", "fixed",
        "ppo", "fast_ppo", "hierarchical_ppo", "threshold", "flat_ppo", "tiny", "offline_cql",
    }  # fmt: skip


@pytest.mark.parametrize("experiment", INSTALLED)
def test_an_experiment_trains_is_saved_and_stands_in_a_leaderboard(
    experiment, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    trained = call(capsys, "train", *short(experiment), f"name={experiment}", "hydra.run.dir=run")
    assert trained.code == 0, trained.err
    agent = Agent.load(tmp_path / "run" / "checkpoints" / "final.zip")
    assert agent.name == experiment
    compared = call(capsys, "compare", *SMALL, "checkpoints=[run]", "agents=[never]",
                    "hydra.run.dir=compared")  # fmt: skip
    assert compared.code == 0, compared.err
    first = json.loads((tmp_path / "compared" / "leaderboard.json").read_text())["agents"][0]
    assert (first["name"], first["checkpoint"]) == (experiment, "run")
    assert first["executor"] == ("own" if experiment in ("threshold", "flat_ppo") else "default")
    again = json.loads((tmp_path / "run" / "leaderboard.json").read_text())["agents"][0]
    assert first["return"] == again["return"]
    assert first["train_opportunities"] > 0


@pytest.mark.skipif(find_spec("d3rlpy") is not None, reason="d3rlpy is installed")
def test_an_experiment_whose_package_is_missing_says_so_and_leaves_no_folder(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    done = call(capsys, "train", *short("offline_cql"))
    assert done.code == 2
    assert done.err.endswith("needs d3rlpy: pip install 'slowfast_rl[offline_rl]'\n")
    assert not (tmp_path / "runs").exists()


def test_an_agent_is_named_by_its_experiment_and_by_the_settings_that_were_changed():
    from slowfast_rl.cli.train import Train  # composes its configuration first

    def name(*overrides):
        return Train(settings("train", *overrides)).agent.name

    assert [name(f"experiment={experiment}") for experiment in INSTALLED] == INSTALLED
    assert name("experiment=ppo", "slow.hidden=32") == "ppo,hidden=32"
    assert name("slow=ppo", "fast=coin", "agent.plans_for=own") == "ppo+coin,plans_for=own"
    assert name("slow=ppo", "fast/pacer=coin", "fast/ranker=quality") == "ppo+coin-quality"
    assert name("experiment=ppo", "slow.hidden=32", "name=mine") == "mine"
    # An experiment's name says nothing of parts that were exchanged.
    assert name("experiment=ppo", "fast=coin") == "ppo+coin"
    assert name("experiment=ppo", "slow=utility") == "utility+bid_price"
    assert name("experiment=slowfast", "slow=segments") == "segments+bid_price"
    assert name("experiment=slowfast", "fast/pacer=coin") == "rollouts+coin"
    many = ["slow.hidden=32", "slow.n_epochs=1", "slow.gae_lambda=0.9"]
    assert name("experiment=ppo", *many).startswith("ppo,3_settings_")
    assert name("experiment=ppo", *many) != name("experiment=ppo", *many[:2], "slow.weeks=9")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["experiment=utility", "total_opportunities=5"], "nothing in utility takes a budget"),
        (["experiment=threshold", "total_cpu_seconds=5"], "takes a budget; allowed is null"),
        (["total_opportunities=5", "total_cpu_seconds=5"], "exactly one of them is needed"),
        (
            ["total_opportunities=0"],
            "total_opportunities is 0; allowed is a whole number 1 or more",
        ),
        (["agent.turns=[slow,middle]"], "turns are"),
        (["name=../../mine"], "name is '../../mine'; allowed is a text without / and .."),
        (["name=never"], "name is 'never', a baseline's; allowed is any but never, always, "),
        (["experiment=flat_ppo", "slow=ppo"], "slow is given, and SinglePolicyAgent takes none"),
    ],
)
def test_a_budget_or_a_level_that_is_not_used_is_an_error(
    overrides, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    result = call(capsys, "train", *overrides)
    assert result.code == 2
    assert message in result.err
    assert result.err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_what_a_budget_comes_to_is_printed_and_written_before_training(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    small = ["slow.states=24", "slow.branches=3", "slow.horizon=3", "slow.ages=4"]
    small += ["slow.weeks_between=2", "slow.hold=1", "name=small"]
    budget = "total_opportunities=9000"
    result = call(capsys, "train", *SMALL, *small, *PACED, budget, "hydra.run.dir=run")
    assert result.code == 0, result.err
    line = "planner rollouts: at most 8,820 opportunities, 3 iterations, 12 members"
    assert line in result.err
    written = json.loads((tmp_path / "run" / "training.json").read_text())
    assert [turn["level"] for turn in written["turns"]] == ["fast", "slow"]
    assert written["turns"][1]["schedule"]["opportunities"] == 8820
    row = json.loads((tmp_path / "run" / "leaderboard.json").read_text())["agents"][0]
    logs = 32 * 6 * 21 * 2
    assert logs < row["train_opportunities"] <= logs + 8820


@pytest.mark.long
def test_a_sweep_of_planners_executors_and_seeds_has_as_many_names_and_one_table(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own" / "slow").mkdir(parents=True)
    (tmp_path / "own" / "slow" / "blind.yaml").write_text(
        "defaults: [rollouts_settings, _self_]\nbeliefs: false\n"
    )
    swept = ["slow=rollouts,ppo,blind", "fast=bid_price,coin", "seed=0,1"]
    fitted = ["fast.ranker.num_members=32", "fast.ranker.weeks=6"]
    result = call(capsys, "train", "--config-dir", "own", "-m", *swept, *SMALL, *fitted, *BUDGET)
    assert result.code == 0, result.err
    (table,) = tmp_path.glob("**/sweep.json")
    names = [row["agent"] for row in json.loads(table.read_text())["jobs"]]
    assert len(set(names)) == len(names) == 12
    assert "ppo+coin,2_settings" not in " ".join(names)
    assert {name.split("+")[0].split(",")[0] for name in names} == {
        "slowfast",
        "ppo",
        "blind",
        "rollouts",
    }


@pytest.mark.parametrize("planner", ["utility", "segments"])
def test_an_executor_with_a_budget_learns_after_a_planner_without_one(
    planner, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    small = ["fast.num_envs=16", "fast.weeks=3", "fast.n_steps=8", "fast.hidden=8", "report=false"]
    short = [*SMALL, *SHORT[planner], *PACED, *small, "total_opportunities=8000"]
    result = call(capsys, "train", f"slow={planner}", "fast=ppo", *short, "hydra.run.dir=run")
    assert result.code == 0, result.err
    assert (tmp_path / "run" / "checkpoints" / "latest.zip").is_file()


def test_agents_of_an_experiment_with_exchanged_parts_have_names_of_their_own():
    from slowfast_rl.cli.train import Train  # composes its configuration first

    def name(*overrides):
        return Train(settings("train", *overrides)).agent.name

    assert name("experiment=ppo", "fast=coin") == "ppo+coin"
    assert name("experiment=ppo", "fast=bid_price") == "ppo+bid_price"
    assert name("experiment=ppo", "slow=utility") == "utility+bid_price"
    assert name("experiment=slowfast", "slow=segments") == "segments+bid_price"
    assert name("experiment=slowfast", "fast/pacer=coin") == "rollouts+coin"
    assert name("experiment=slowfast", "fast/ranker=quality") == "rollouts+bid_price-quality"
    assert name("experiment=ppo", "fast=coin", "slow.hidden=32") == "ppo+coin,hidden=32"
    assert name("experiment=ppo", "fast=coin", "name=mine") == "mine"
    own = "slow._target_=slowfast_rl.slow.UtilityPlanner"
    assert name("experiment=segments", own) == "utility+bid_price"


def test_what_an_experiment_sets_tells_its_agents_from_those_of_other_experiments():
    from slowfast_rl.cli.train import Train  # composes its configuration first

    def name(*overrides):
        return Train(settings("train", *overrides)).agent.name

    assert name("experiment=fixed", "fast=coin") == "segments+coin,segments=1"
    assert name("experiment=fixed", "fast=coin", "slow.segments=2") == "segments+coin,segments=2"
    assert name("experiment=plain_rollouts", "fast=coin") == "rollouts+coin,beliefs=False"
    assert name("experiment=slowfast_own", "fast=coin") == "rollouts+coin,plans_for=own"
    planned = set(EXPERIMENTS) - {*SINGLE, "offline_cql"}  # which needs an extra
    names = {name(f"experiment={e}", "fast=coin") for e in planned}
    assert len(names) == len(planned)


@pytest.mark.parametrize("name", ["a/b", "..", "../mine", "/tmp/mine"])
def test_a_name_is_no_path(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    result = call(capsys, "train", f"name={name}")
    assert result.code == 2
    assert f"name is '{name}'; allowed is a text without / and .." in result.err
    assert result.err.count("\n") == 1
    assert not (tmp_path / "runs").exists()
