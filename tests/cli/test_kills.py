"""A training is killed at any moment, and continued: it ends as if it had never been killed.

`make test-kill` kills 50 of them. The moments are drawn over the whole run, imports left out; no
verdict depends on which moment it is, and a run that ended before is as good as one that was hit.
"""

import os
import signal
from time import monotonic, sleep

import numpy as np
import pytest

from tests.cli.forking import start_command
from tests.cli.resuming import outcome

KILLS = int(os.environ.get("KILLS", "5"))
TRAINING = ("experiment=tiny", "report=false", "checkpoint_seconds=0.1")


def start(folder, *arguments):
    """Start a training in a process of its own, in a folder."""
    return start_command("train", arguments, folder, folder / "log")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nobody disturbs: its outcome, and the seconds that it took."""
    folder = tmp_path_factory.mktemp("whole")
    begun = monotonic()
    process = start(folder, *TRAINING, "hydra.run.dir=run")
    process.join()
    assert process.exitcode == 0, (folder / "log").read_text()
    return outcome(folder / "run"), monotonic() - begun


@pytest.mark.parametrize("number", range(KILLS))
def test_a_training_that_was_killed_ends_as_one_that_was_not(number, whole, tmp_path):
    expected, seconds = whole
    draw = np.random.default_rng(number)
    run = tmp_path / "run"
    process = start(tmp_path, *TRAINING, "hydra.run.dir=run")
    for _ in range(1 + number % 3):  # a resumed run is killed too
        sleep(draw.uniform(0, seconds))
        process.kill()
        process.join()
        if (run / "leaderboard.json").exists():
            break
        begun = (run / "command.json").exists()
        again = ("resume=run",) if begun else (*TRAINING, "hydra.run.dir=run")
        process = start(tmp_path, *again)
    process.join()
    log = (tmp_path / "log").read_text()
    assert process.exitcode in (0, -signal.SIGKILL) or "has ended" in log, log
    found = outcome(run)
    for name in expected:
        assert found[name] == expected[name], (name, log[-500:])
