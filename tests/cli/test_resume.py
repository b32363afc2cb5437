"""A training that was stopped continues exactly."""

import errno
import json
import shutil
import signal

import numpy as np
import pytest

from slowfast_rl.agents.disk import read_arrays, write_arrays
from slowfast_rl.cli import run_checkpoints, train
from slowfast_rl.cli.resume import locked
from slowfast_rl.cli.run_checkpoints import RunCheckpoints
from slowfast_rl.cli.train import _Watch
from slowfast_rl.evaluation import curves
from slowfast_rl.members.population import Population
from slowfast_rl.members.state import Week
from tests.cli.calls import call
from tests.cli.resuming import outcome

SHORT = ("num_members=16", "weeks=3", "evaluation.burn_in=1", "evaluation.streams=[0]",
         "evaluation.curve_members=8", "report=false", "checkpoint_seconds=0")  # fmt: skip
ROLLOUTS = ("slow.states=16", "slow.branches=3", "slow.hold=1", "slow.horizon=2", "slow.ages=3",
            "slow.weeks_between=2", "slow.hidden=8", "slow.epochs=1")  # fmt: skip
PPO = ("slow.num_envs=16", "slow.n_steps=4", "slow.weeks=4", "slow.batch_size=32", "slow.hidden=8")
PPO_EXECUTOR = ("fast.num_envs=16", "fast.weeks=3", "fast.n_steps=10", "fast.hidden=8")
PACED = ("fast/pacer=exact", "fast/ranker=quality")
LEARNERS = {
    "rollouts": ("fast=quality", *ROLLOUTS, "total_opportunities=12000"),
    "ppo": ("slow=ppo", "fast=quality", *PPO, "total_opportunities=9000"),
    "segments": ("slow=segments", "fast=quality", "slow.num_members=16", "slow.weeks=2",
                 "slow.burn_in_weeks=1", "slow.rounds=3"),
    "affinity": ("slow=utility", "fast/ranker=affinity", "slow.num_members=32", "slow.weeks=16",
                 "fast.ranker.num_members=32", "fast.ranker.weeks=2"),
    "in_turns": ("slow=ppo", "fast=ppo", *PPO, *PPO_EXECUTOR, *PACED, "total_opportunities=30000",
                 "agent.turns=[slow,fast,slow]", "agent.plans_for=own"),
    "rollouts_in_turns": ("fast=ppo", *ROLLOUTS, *PPO_EXECUTOR, *PACED,
                          "agent.turns=[slow,fast,slow]", "agent.plans_for=own",
                          "total_opportunities=30000"),
    "flat": ("experiment=flat_ppo", *PPO_EXECUTOR, "total_opportunities=9000"),
}  # fmt: skip


class Killed(BaseException):
    """What stands for the end of the process."""


def offers(capsys, folder, *arguments):
    """Run a training to its end, and return how many states it offered."""
    count = []
    offer = RunCheckpoints.offer
    try:
        RunCheckpoints.offer = lambda self, make: (count.append(1), offer(self, make))[1]
        result = call(capsys, "train", *SHORT, *arguments, f"hydra.run.dir={folder}")
    finally:
        RunCheckpoints.offer = offer
    assert result.code == 0, result.err
    return len(count)


@pytest.mark.parametrize("learner", LEARNERS)
def test_a_training_that_was_stopped_ends_as_one_that_was_not(
    learner, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    number = offers(capsys, "whole", *LEARNERS[learner])
    whole = outcome(tmp_path / "whole")
    assert not list((tmp_path / "whole" / "checkpoints").glob("training-*"))
    for stop in sorted({0, 1, number // 2, number - 1}):
        run = f"stopped{stop}"
        stop_at(monkeypatch, stop)
        with pytest.raises(Killed):
            call(capsys, "train", *SHORT, *LEARNERS[learner], f"hydra.run.dir={run}")
        monkeypatch.undo()
        monkeypatch.chdir(tmp_path)
        result = call(capsys, "train", f"resume={run}")
        assert result.code == 0, result.err
        found = outcome(tmp_path / run)
        for name in whole:
            assert found[name] == whole[name], (stop, name)


def stop_at(monkeypatch, number):
    """Let the process end where a training offers its state for the given time, from 0."""
    offer, count = RunCheckpoints.offer, iter(range(number))

    def offer_or_die(self, make):
        if next(count, None) is None:
            raise Killed
        offer(self, make)

    monkeypatch.setattr(RunCheckpoints, "offer", offer_or_die)


PPO_RUN = LEARNERS["ppo"]


def stopped(monkeypatch, capsys, number=3, *more):
    """Leave a run that was killed in the folder ``run``."""
    with monkeypatch.context() as patch:
        stop_at(patch, number)
        with pytest.raises(Killed):
            call(capsys, "train", *SHORT, *PPO_RUN, *more, "hydra.run.dir=run")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def checkpoints(folder):
    return sorted((folder / "checkpoints").glob("training-*.safetensors"))


@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_a_checkpoint_that_is_damaged_is_skipped_with_a_warning(damage, here, monkeypatch, capsys):
    offers(capsys, "whole", *PPO_RUN)
    stopped(monkeypatch, capsys, 5)
    files = checkpoints(here / "run")
    assert len(files) == 3  # as many as are kept
    content = bytearray(files[-1].read_bytes())
    if damage == "truncated":
        files[-1].write_bytes(content[: len(content) // 2])
    else:
        content[len(content) // 3] ^= 1
        files[-1].write_bytes(content)
    result = call(capsys, "train", "resume=run")
    assert result.code == 0, result.err
    warnings = [line for line in result.err.splitlines() if line.startswith("warning")]
    assert len(warnings) == 1
    assert f"a checkpoint is skipped: {files[-1]}" in warnings[0]
    assert f"Continues from {files[-2]}\n" in result.err
    assert outcome(here / "run") == outcome(here / "whole")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 99}, "schema was 99 and is 1"),
        ({"identity": {"seed": 7}}, "seed was 7 and is 0"),
    ],
)
def test_a_checkpoint_of_another_training_or_version_is_refused(
    change, message, here, monkeypatch, capsys
):
    stopped(monkeypatch, capsys, 4)
    newest = checkpoints(here / "run")[-1]
    arrays, head = read_arrays(newest)
    write_arrays(newest, arrays, head | change)
    result = call(capsys, "train", "resume=run")
    assert result.code == 2
    assert f"{newest} is of another training: " in result.err
    assert message in result.err
    assert len(checkpoints(here / "run")) == 3


def test_a_world_file_that_changed_is_not_resumed(here, monkeypatch, capsys):
    (here / "w.yaml").write_text("base: pronounced\nopt_out: {hazard: 0.002}\n")
    stopped(monkeypatch, capsys, 4, "world_file=w.yaml")
    (here / "w.yaml").write_text("base: pronounced\nopt_out: {hazard: 0.003}\n")
    result = call(capsys, "train", "resume=run")
    assert result.code == 2
    assert "is of another training: world was " in result.err


def test_a_run_is_resumed_from_any_folder(here, monkeypatch, capsys):
    offers(capsys, "whole", *PPO_RUN)
    stopped(monkeypatch, capsys)
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")
    assert call(capsys, "train", "resume=../run").code == 0
    assert outcome(here / "run") == outcome(here / "whole")


def test_a_folder_in_which_a_run_was_only_begun_stays_whatever_is_refused(
    here, monkeypatch, capsys
):
    stopped(monkeypatch, capsys, 0)
    for path in (here / "run").iterdir():
        if path.name not in ("config.yaml", "command.json"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    result = call(capsys, "train", *SHORT, *PPO_RUN, "hydra.run.dir=run")
    assert "run holds a run already" in result.err
    assert (here / "run" / "command.json").exists()
    assert call(capsys, "train", "resume=run").code == 0


def test_a_run_that_was_killed_while_it_cleaned_up_is_cleaned_up(here, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        patch.setattr(train, "remove_checkpoints", _dies)
        with pytest.raises(Killed):
            call(capsys, "train", *SHORT, *PPO_RUN, "hydra.run.dir=run")
    assert checkpoints(here / "run")
    assert "has ended" in call(capsys, "train", "resume=run").err
    assert not checkpoints(here / "run")


def test_curves_that_a_killed_process_was_writing_are_not_shown(here, monkeypatch, capsys):
    offers(capsys, "whole", *PPO_RUN)
    with monkeypatch.context() as patch:
        patch.setattr(curves, "_write_final", _dies)
        with pytest.raises(Killed):
            call(capsys, "train", *SHORT, *PPO_RUN, "hydra.run.dir=run")
    assert list((here / "run").glob("tensorboard/.*")) == []
    assert call(capsys, "train", "resume=run").code == 0
    assert list((here / "run").glob(".*.partial")) == []
    assert outcome(here / "run") == outcome(here / "whole")


def _dies(*_):
    raise Killed


def test_a_run_without_a_checkpoint_yet_begins_again(here, monkeypatch, capsys):
    offers(capsys, "whole", *PPO_RUN)
    stopped(monkeypatch, capsys, 0)
    assert not checkpoints(here / "run")
    assert call(capsys, "train", "resume=run").code == 0
    assert outcome(here / "run") == outcome(here / "whole")


def test_a_run_whose_tensorboard_folder_was_deleted_has_all_its_curves_at_the_end(
    here, monkeypatch, capsys
):
    offers(capsys, "whole", *PPO_RUN)
    evaluate = _Watch.evaluate

    def evaluate_and_delete(self):
        evaluate(self)
        shutil.rmtree("run/tensorboard", ignore_errors=True)

    with monkeypatch.context() as patch:
        patch.setattr(_Watch, "evaluate", evaluate_and_delete)
        result = call(capsys, "train", *SHORT, *PPO_RUN, "hydra.run.dir=run")
    assert result.code == 0, result.err
    whole, found = outcome(here / "whole")["curves"], outcome(here / "run")["curves"]
    assert found == whole


def test_a_full_disk_ends_a_training_in_one_line_and_spoils_nothing(here, monkeypatch, capsys):
    offers(capsys, "whole", *PPO_RUN)
    count = iter(range(4))

    def full(content, *_):
        if next(count, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(run_checkpoints, "write_arrays", _after(run_checkpoints.write_arrays, full))
        result = call(capsys, "train", *SHORT, *PPO_RUN, "hydra.run.dir=run")
    assert result.code == 2
    assert "error: [Errno 28] No space left on device" in result.err
    assert "slowfast-train resume=run" in result.err
    assert call(capsys, "train", "resume=run").code == 0
    assert outcome(here / "run") == outcome(here / "whole")


def _after(function, before):
    def called(*arguments):
        before(*arguments)
        return function(*arguments)

    return called


def test_sigterm_saves_the_training_and_says_how_to_continue(here, monkeypatch, capsys):
    offers(capsys, "whole", *PPO_RUN)
    offer, count = RunCheckpoints.offer, iter(range(3))

    def told_to_end(self, make):
        if next(count, None) is None:
            signal.raise_signal(signal.SIGTERM)
        offer(self, make)

    with monkeypatch.context() as patch:
        patch.setattr(RunCheckpoints, "offer", told_to_end)
        result = call(capsys, "train", *SHORT, *PPO_RUN, "checkpoint_seconds=1e6",
                      "hydra.run.dir=run")  # fmt: skip
    assert result.code == 143
    assert "Ending: the training is saved first" in result.err
    assert result.err.endswith("error: ended by SIGTERM; continue with slowfast-train resume=run\n")
    assert len(checkpoints(here / "run")) == 1
    assert call(capsys, "train", "resume=run").code == 0
    assert outcome(here / "run")["weights"] == outcome(here / "whole")["weights"]


def test_sigterm_ends_a_training_that_offers_nothing_any_more_after_it_has_learned(
    here, monkeypatch, capsys
):
    def told_to_end(self, make):
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(RunCheckpoints, "offer", told_to_end)
    short = ("slow=utility", "fast=quality", "slow.num_members=32", "slow.weeks=16")
    result = call(capsys, "train", *SHORT, *short, "hydra.run.dir=run")
    assert result.code == 143
    assert not (here / "run" / "leaderboard.json").exists()


def test_a_resumed_sweep_runs_jobs_that_failed_again(here, monkeypatch, capsys):
    sweep = ("-m", "seed=0,1", *SHORT, *PPO_RUN, "hydra.sweep.dir=swept")

    def full(path, *_):
        if "/1/" in str(path):
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(run_checkpoints, "write_arrays", _after(run_checkpoints.write_arrays, full))
        assert call(capsys, "train", *sweep).code == 1
    assert "No space left" in (here / "swept" / "sweep.json").read_text()
    result = call(capsys, "train", "resume=swept")
    assert result.code == 0, result.err
    jobs = json.loads((here / "swept" / "sweep.json").read_text())["jobs"]
    assert [job["error"] for job in jobs] == [None, None]


def test_a_resumed_sweep_takes_no_job_of_other_settings(here, monkeypatch, capsys):
    sweep = ("-m", "seed=0,1", *SHORT, *PPO_RUN, "hydra.sweep.dir=swept")
    each = offers(capsys, "single", *PPO_RUN)
    with monkeypatch.context() as patch:
        stop_at(patch, each + 3)
        with pytest.raises(Killed):
            call(capsys, "train", *sweep)
    config = here / "swept" / "0" / "config.yaml"
    config.write_text(config.read_text().replace("learning_rate: 0.001", "learning_rate: 0.1"))
    result = call(capsys, "train", "resume=swept")
    assert result.code == 1
    assert "have changed since it was stopped: slow.learning_rate was 0.1 and is 0.001" in (
        result.err
    )


def test_a_sweep_says_which_jobs_it_leaves_out_and_how_those_that_failed_can_run_again(
    here, capsys
):
    sweep = ("-m", "seed=0,1", *SHORT, *PPO_RUN, "hydra.sweep.dir=swept")
    (here / "swept" / "1").mkdir(parents=True)
    (here / "swept" / "1" / "checkpoints").touch()  # where a folder is needed
    result = call(capsys, "train", *sweep)
    assert result.code == 1
    assert result.err.endswith("Jobs failed; continue with slowfast-train resume=swept\n")
    one = call(capsys, "train", "resume=swept/1")
    assert f"resume is swept/1, which belongs to a sweep; allowed is resume={here}/swept" in one.err
    (here / "swept" / "1" / "checkpoints").unlink()
    result = call(capsys, "train", "resume=swept")
    assert result.code == 0, result.err
    assert "Job 0 has ended before, and is not run again\n" in result.err
    assert "Job 1 has" not in result.err


def test_two_processes_cannot_write_to_one_run(here, capsys):
    with locked(here / "run"):
        result = call(capsys, "train", *SHORT, *PPO_RUN, "hydra.run.dir=run")
        assert not list((here / "run").iterdir())
    assert result.code == 2
    assert result.err.count("\n") == 1
    assert "run is in use by another process" in result.err


def test_what_cannot_be_resumed_is_refused_in_one_line(here, monkeypatch, capsys):
    def refused(*arguments):
        result = call(capsys, "train", *arguments)
        assert (result.code, result.err.count("\n")) == (2, 1), result.err
        return result.err

    assert "resume is nothing, which does not exist; allowed is" in refused("resume=nothing")
    (here / "empty").mkdir()
    assert "resume is empty, which has no command.json; allowed is" in refused("resume=empty")
    offers(capsys, "whole", *PPO_RUN)
    assert "whole has ended; allowed is a run that was stopped" in refused("resume=whole")
    stopped(monkeypatch, capsys)
    assert "resume=run comes with seed=1; allowed is resume alone" in refused(
        "resume=run", "seed=1"
    )
    config = here / "run" / "config.yaml"
    text = config.read_text()
    config.write_text(text.replace("learning_rate: 0.001", "learning_rate: 0.1"))
    message = "have changed since it was stopped: slow.learning_rate was 0.1 and is 0.001\n"
    assert message in refused("resume=run")
    for damaged in ("", "name: ["):
        config.write_text(damaged)
        assert "run/config.yaml is damaged: it holds no settings" in refused("resume=run")
    config.write_text(text.replace("\nseed:", "\nseeds:"))
    assert "seeds was 0 and is missing; seed was missing and is 0" in refused("resume=run")
    config.write_text(text)
    start = here / "run" / "training.json"
    begun = start.read_text()
    start.write_text("")
    assert "run/training.json is missing or damaged: " in call(capsys, "train", "resume=run").err
    start.write_text(begun)
    (here / "run" / "leaderboard.json").write_text('{"agents": [')
    assert "run/leaderboard.json is missing or damaged: " in refused("resume=run")
    (here / "run" / "leaderboard.json").unlink()
    command = here / "run" / "command.json"
    whole = json.loads(command.read_text())
    for wrong in ({"overrides": 3}, whole | {"overrides": "abc"}, whole | {"overrides": [3]}):
        command.write_text(json.dumps(wrong))
        assert "command.json holds no command line" in refused("resume=run")
    command.write_text(json.dumps(whole | {"working_directory": "/nowhere"}))
    assert "the command was given in /nowhere, which cannot be used" in refused("resume=run")


def test_a_sweep_that_was_killed_runs_no_job_again_that_had_ended(here, monkeypatch, capsys):
    sweep = ("-m", "seed=0,1,2", *SHORT, *PPO_RUN)
    assert call(capsys, "train", *sweep, "hydra.sweep.dir=whole").code == 0
    each = offers(capsys, "single", *PPO_RUN)
    with monkeypatch.context() as patch:
        stop_at(patch, each + 3)  # in the second job
        with pytest.raises(Killed):
            call(capsys, "train", *sweep, "hydra.sweep.dir=swept")
    assert not (here / "swept" / "sweep.json").exists()
    first = (here / "swept" / "0" / "leaderboard.json").stat().st_mtime_ns
    result = call(capsys, "train", "resume=swept")
    assert result.code == 0, result.err
    assert (here / "swept" / "0" / "leaderboard.json").stat().st_mtime_ns == first
    for job in range(3):
        found, whole = (outcome(here / f / f"{job}") for f in ("swept", "whole"))
        assert found == whole
    jobs = [json.loads((here / f / "sweep.json").read_text())["jobs"] for f in ("swept", "whole")]
    assert jobs[0] == jobs[1]
    assert "swept has ended" in call(capsys, "train", "resume=swept").err


def test_compare_says_which_checkpoint_it_took_and_warns_of_an_unfinished_run(
    here, monkeypatch, capsys
):
    offers(capsys, "whole", *PPO_RUN)
    stopped(monkeypatch, capsys, 4)
    few = [word for word in SHORT if "curve" not in word and "checkpoint" not in word]
    result = call(capsys, "compare", *few, "checkpoints=[whole,run]", "agents=[never]")
    assert result.code == 0, result.err
    assert result.err.count("The agent of whole is whole/checkpoints/final.zip") == 1
    warning = "warning: run has not ended; its last evaluation's agent is taken, run/checkpoints/"
    assert warning in result.err


@pytest.mark.parametrize("learner", ["rollouts", "ppo", "flat"])
def test_a_loss_that_is_not_finite_stops_the_training_and_its_batch_is_saved(
    learner, here, monkeypatch, capsys
):
    monkeypatch.setattr(Population, "run_week", _with_nan_rewards(Population.run_week))
    monkeypatch.setattr(Population, "step", _with_nan_rewards(Population.step))
    result = call(capsys, "train", *SHORT, *LEARNERS[learner], "hydra.run.dir=run")
    assert result.code == 2
    assert "error: the loss is nan; training stops; its batch is in " in result.err
    batch, head = read_arrays(here / "run" / "failed_batch.safetensors")
    assert head == {"reason": "the loss is nan; training stops"}
    assert any(np.isnan(array).any() for array in batch.values())


def _with_nan_rewards(simulate):
    def simulated(self, *arguments):
        result = simulate(self, *arguments)
        if isinstance(result, Week):
            return result._replace(reward=result.reward * np.nan)
        return result[0] * np.nan, result[1]

    return simulated
