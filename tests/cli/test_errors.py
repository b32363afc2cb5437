import os
from dataclasses import replace

import pytest

from slowfast_rl.agents import ThresholdAgent
from slowfast_rl.cli import bench, train
from tests.cli.calls import TINY, TINY_COMPARISON, call

# command, its arguments, and what the error must name: the value, and what is allowed instead
MISTAKES = [
    ("train", ["world=nowhere"], ["'nowhere'", "calibrated, costly"]),
    ("train", ["world_file=nowhere.yaml"], ["'nowhere.yaml'"]),
    ("train", ["world_overrides={opt_out.hazard: -1}"], ["opt_out.hazard is -1", "[0, 1]"]),
    ("train", ["world_overrides={opt_out.fatigue_weight: -1}"], ["is -1", "[0, 100]"]),
    ("train", ["world_overrides={opt_out.hazard: 1.5}"], ["is 1.5", "[0, 1]"]),
    ("train", ["world_overrides={opt_out.return_rate: {push: 1.5}}"], ["is 1.5", "[0, 1]"]),
    ("train", ["world_overrides={opt_out.hazzard: 1}"], ["'hazzard'", "hazard, fatigue_weight"]),
    ("train", ["world=null", "world_overrides={churn.flor: 1}"], ["flor", "floor, scale"]),
    ("train", ["world.opt_out.hazard.push=-2"], ["opt_out.hazard is -2", "[0, 1]"]),
    ("train", ["sed=1"], ["'sed'", "did you mean 'seed'", "num_members"]),
    ("train", ["+sed=1"], ["'sed'", "allowed: world"]),
    ("train", ["~seed"], ["seed is missing", "a whole number"]),
    ("train", ["slow.lr=1"], ["'slow.lr'", "learning_rate"]),
    ("train", ["+slow.lr=1"], ["'slow.lr'", "learning_rate"]),
    ("train", ["hydra.rundir=x"], ["'hydra.rundir'", "sweep"]),
    ("train", ["experiment=ppo", "slow.nope=5"], ["'slow.nope'", "allowed: num_envs"]),
    ("train", ["slow=ppo", "slow.nope=5"], ["'slow.nope'", "allowed: num_envs"]),
    ("train", ["slow=ppo", "slow.num_envs=64", "sede=1"], ["'sede'", "did you mean 'seed'"]),
    ("train", ["slow.horizon.x=5"], ["'slow.horizon.x'", "allowed: none"]),
    ("train", ["hydra.job.num=abc"], ["hydra.job.num=abc", "'abc'", "Integer"]),
    ("train", ["hydra/sweeper=nope"], ["hydra/sweeper 'nope'", "basic"]),
    ("train", ["--sed=1"], ["'--sed=1'", "--help"]),
    ("train", ["seed=${nope}"], ["'nope' not found"]),
    ("train", ["references=maybe"], ["'maybe'", "stored, compute"]),
    ("train", ["--experimental-rerun", "x.pickle"], ["a pickle"]),
    ("train", ["-m", "slow.states=interval(8,9)", "sed=1"], ["'sed'", "did you mean 'seed'"]),
    ("train", ["-m", "slow.states=interval(8,9)"], ["BasicSweeper", "INTERVAL"]),
    ("train", ["slow=nope"], ["slow 'nope'", "allowed: cql, ppo, rollouts"]),
    ("train", ["experiment=nope"], ["experiment 'nope'", "slowfast"]),
    ("train", ["store._target_=no.such"], ["'no.such'", "import path"]),
    ("train", ["seed=abc"], ["seed is 'abc'", "a whole number"]),
    ("train", ["seed=true"], ["seed is True", "a whole number"]),
    ("train", ["seed=-1"], ["seed is -1", "0 to 4294967295"]),
    ("train", ["seed=1000000"], ["seed is 1000000", "[1000000, 2000000"]),
    ("train", ["seed=5", "luck_seed=5"], ["seed is 5", "any but"]),
    ("train", ["slow.horizon=1.5"], ["slow.horizon is 1.5", "a whole number"]),
    ("train", ["slow.states=0"], ["states is 0", "allowed"]),
    ("train", ["num_members=many"], ["num_members is 'many'", "a whole number"]),
    ("train", ["weeks=0"], ["weeks is 0", "1 to 10000"]),
    ("train", ["weeks=1000000000"], ["weeks is 1000000000", "1 to 10000"]),
    ("train", ["num_members=1000000000000"], ["num_members is 1000000000000", "to 100000000"]),
    ("train", ["fast/ranker=uplift", "fast.ranker.weeks=1" + "0" * 400], ["fast.ranker", "000"]),
    ("train", ["num_threads=0"], ["num_threads is 0", "1 to 1024"]),
    ("train", ["num_threads=1000000"], ["num_threads is 1000000", "1 to 1024"]),
    ("train", ["torch_threads=1000000"], ["torch_threads is 1000000", "1 to 1024"]),
    ("train", ["store._target_=builtins.open", "+store.file=made"], ["'builtins.open'", "store"]),
    ("train", ["slow._target_=torch.load", "+slow.f=x"], ["'torch.load'", "planner"]),
    ("train", ["slow._target_=pathlib.Path"], ["'pathlib.Path'", "planner"]),
    ("train", ["fast.ranker._target_=subprocess.Popen"], ["'subprocess.Popen'", "ranker"]),
    ("train", ["device=gpu"], ["device is 'gpu'", "cpu or cuda"]),
    ("train", ["total_opportunities=1.5"], ["total_opportunities is 1.5", "or null"]),
    ("train", ["total_cpu_seconds=3", "total_opportunities=3"], ["is 3", "exactly one"]),
    ("train", ["evaluation.streams=[]"], ["evaluation.streams is []", "at least one"]),
    ("train", ["evaluation.burn_in=-1"], ["burn_in is -1", "0 or more"]),
    ("train", ["evaluation.every_opportunities=0"], ["is 0", "1 or more"]),
    ("train", ["seed=0,1"], ["'seed=0,1'", "add -m"]),
    ("train", ["-m", "sed=0,1"], ["'sed'", "did you mean 'seed'"]),
    ("train", ["-m", "seed=0,abc"], ["seed is 'abc'", "a whole number"]),
    ("train", ["seed"], ["'seed'", "name=value"]),
    ("train", ["--config-dir", "nowhere"], ["nowhere", "a folder that exists"]),
    ("compare", ["agents=[nobody]"], ["'nobody'", "never, always, random"]),
    ("compare", ["agents=never"], ["agents is 'never'", "a list"]),
    ("compare", ["agents=[never,never]"], ["['never', 'never']", "at most once"]),
    ("compare", ["agents=[]"], ["agents and checkpoints are empty", "at least one"]),
    ("compare", ["checkpoints=[nowhere]"], ["'nowhere'", "a run directory or a zip"]),
    ("compare", ["agents=[oracle]", "weeks=3"], ["'oracle'", "slowfast_rl.cli.references"]),
    ("bench", ["suite=gpu"], ["suite is 'gpu'", "env"]),
    ("bench", ["repeats=0"], ["repeats is 0", "1 or more"]),
    ("references", ["evaluation.references=/dev/null/x"], ["/dev/null/x", "not a writable"]),
    ("compare", ["population_seed=2000000"], ["2000000", "allowed is any other"]),
    ("references", ["workers=0"], ["workers is 0", "1 or more"]),
    ("references", ["worlds=[nowhere]"], ["'nowhere'", "calibrated, costly"]),
]


def assert_one_line(result, *names):
    assert result.code == 2
    assert result.out == ""
    assert result.err.startswith("error: ")
    assert result.err.endswith("\n")
    assert result.err.count("\n") == 1, result.err
    for name in names:
        assert name in result.err


@pytest.mark.parametrize(
    ("command", "arguments", "names"), MISTAKES, ids=[" ".join(m[1]) for m in MISTAKES]
)
def test_a_mistake_is_told_in_one_line_and_leaves_no_file(
    command, arguments, names, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert_one_line(call(capsys, command, *arguments), *names)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments", [["hydra.run.dir=file/run"], ["-m", "hydra.sweep.dir=file/run"]]
)
def test_a_run_directory_that_cannot_be_made_is_told_in_one_line(
    arguments, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("in the way")
    assert_one_line(call(capsys, "train", *arguments), "file/run", "not a writable directory")


def test_a_run_directory_without_permission_is_told_in_one_line(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    assert_one_line(call(capsys, "train"), "runs/train", "not a writable directory")


def test_a_folder_that_holds_a_run_is_not_written_again(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text("mine")
    assert_one_line(call(capsys, "bench", "hydra.run.dir=."), "holds a run already")
    assert (tmp_path / "config.yaml").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 1


def failing(error):
    def run(self, folder):
        raise error

    return run


def test_an_error_while_running_is_told_in_one_line_and_leaves_no_run(
    capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench.Bench, "run", failing(OSError(28, "No space left on device")))
    assert_one_line(call(capsys, "bench"), "No space left")
    assert list((tmp_path / "runs" / "bench").iterdir()) == []


def test_an_interrupt_is_told_in_one_line_and_leaves_no_empty_run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench.Bench, "run", failing(KeyboardInterrupt()))
    result = call(capsys, "bench")
    assert (result.code, result.err) == (130, "error: interrupted\n")
    assert list((tmp_path / "runs" / "bench").iterdir()) == []


def test_an_interrupted_training_keeps_its_checkpoint_and_has_no_leaderboard(
    capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "agent_contestants", interrupt)
    result = call(capsys, "train", *TINY)
    assert result.code == 130
    (run,) = (tmp_path / "runs" / "train").iterdir()
    again = f"slowfast-train resume=runs/train/{run.name}"
    assert result.err.endswith(f"\nerror: interrupted; continue with {again}\n")
    assert {"config.yaml", "metrics.csv", "checkpoints"} <= {p.name for p in run.iterdir()}
    assert not (run / "leaderboard.json").exists()


def test_one_failing_job_does_not_stop_a_sweep(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(self, folder):
        if self.settings.seed == 1:
            raise ValueError("seed 1 fails")
        (folder / "bench.json").write_text("[]")

    monkeypatch.setattr(bench.Bench, "run", run)
    result = call(capsys, "bench", "-m", "seed=1,2")
    assert result.code != 0
    assert "error: job 0 (seed=1): seed 1 fails\n" in result.err
    assert "Traceback" not in result.err
    (sweep,) = (tmp_path / "runs" / "bench-sweep").iterdir()
    assert {p.name for p in sweep.iterdir()} == {"1", "multirun.yaml", "sweep.json", "sweep.md"}
    assert (sweep / "1" / "bench.json").exists()


def test_a_comparison_trains_the_threshold_once_and_never_on_members_it_is_scored_on(
    capsys, tmp_path, monkeypatch
):
    learned = []
    learn = ThresholdAgent.learn

    def counted(agent, world, **settings):
        learned.append(settings["seed"])
        agent.settings = replace(agent.settings, num_members=8, weeks=1)
        agent.ranker.learn = lambda *_, **__: agent.ranker
        return learn(agent, world, **settings)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ThresholdAgent, "learn", counted)
    refused = call(capsys, "compare", "agents=[threshold]", "population_seed=0", *TINY_COMPARISON)
    assert (refused.code, learned) == (2, [])
    assert call(capsys, "compare", "agents=[threshold]", *TINY_COMPARISON).code == 0
    assert learned == [0]
