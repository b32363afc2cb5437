"""A training that was stopped continues exactly."""

import pytest

from slowfast_rl.cli.resume import RunCheckpoints
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
