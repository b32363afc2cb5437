"""Commands called in this process, as from a shell."""

import atexit
import importlib
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig

from slowfast_rl.cli.app import settings_of
from slowfast_rl.cli.schema import register_settings
from slowfast_rl.members.arrays import Int64
from slowfast_rl.members.loading import config_folder
from slowfast_rl.services.store_clock import read_clock, read_observations
from slowfast_rl.store import FeatureStore, Status, read_plans
from tests.waiting import comes_true

TINY = (
    "num_members=24", "weeks=3", "evaluation.burn_in=1", "evaluation.streams=[0,1]",
    "total_opportunities=4000", "evaluation.every_opportunities=2000", "slow=ppo", "fast=quality",
    "slow.num_envs=16", "slow.n_steps=4", "slow.weeks=6", "slow.batch_size=64", "slow.n_epochs=1",
    "slow.hidden=8", "name=ppo+quality", "report=false",
)  # fmt: skip
TINY_COMPARISON = (*TINY[:4], "report=false")


class Result(NamedTuple):
    code: int
    out: str
    err: str


def call(capsys: pytest.CaptureFixture[str], command: str, *arguments: str) -> Result:
    """Run a command to its end, and return what it printed."""
    capsys.readouterr()
    code = run_command(command, *arguments)
    return Result(code, *capsys.readouterr())


def run_command(command: str, *arguments: str) -> int:
    """Run a command to its end, and return its exit code."""
    module = importlib.import_module(f"slowfast_rl.cli.{command}")
    before = sys.argv
    sys.argv = [f"slowfast-{command}", *arguments]
    try:
        module.main()
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        sys.argv = before
    return 0


class Running:
    """A command in a process of its own; what it says goes to a file."""

    def __init__(self, command: str, *arguments: str, cwd: Path) -> None:
        self.path = cwd / f"{uuid4().hex}.log"
        with self.path.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", f"slowfast_rl.cli.{command}", *arguments],
                cwd=cwd, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        atexit.register(self.process.kill)  # also where a test fails before it says so

    def exit_code(self) -> int | None:
        """Return the code with which it ended, negative for a signal; None while it runs."""
        return self.process.poll()

    def ended(self) -> bool:
        """Return whether it is over."""
        return self.exit_code() is not None

    def says(self, text: str) -> bool:
        """Wait until it says this; False if it ends before."""
        comes_true(lambda: text in self.path.read_text() or self.ended())
        return text in self.path.read_text()

    def ends_well(self) -> bool:
        """Wait until it ends."""
        return comes_true(self.ended) and self.exit_code() == 0

    def kill(self) -> None:
        self.process.kill()
        comes_true(self.ended)


def planned(store: FeatureStore, ids: Int64) -> bool:
    """Return whether all whose observations are in the store have a plan there, by its clock."""
    now = read_clock(store)
    if now is None:
        return True  # nobody can plan before there is a clock
    ids = ids[read_observations(store, ids, now).present]
    return bool((read_plans(store, ids, now)[1] == Status.PRESENT).all())


def settings(command: str, *overrides: str):
    """Compose a command's settings as it does itself."""
    register_settings()
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose(command, list(overrides), return_hydra_config=True)
        HydraConfig.instance().set_config(config)
        return settings_of(config)
