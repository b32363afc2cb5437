"""Commands called in this process, as from a shell."""

import atexit
import importlib
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig

from slowfast_rl.cli.app import settings_of
from slowfast_rl.cli.schema import register_settings
from slowfast_rl.members.loading import config_folder

TINY = (
    "num_members=24", "weeks=3", "evaluation.burn_in=1", "evaluation.streams=[0,1]",
    "total_opportunities=4000", "evaluation.every_opportunities=2000", "slow=ppo", "fast=quality",
    "slow.num_envs=16", "slow.n_steps=4", "slow.weeks=6", "slow.batch_size=64", "slow.n_epochs=1",
    "slow.hidden=8",
)  # fmt: skip
TINY_COMPARISON = TINY[:4]


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

    def says(self, text: str) -> bool:
        """Wait until it says this."""
        deadline = time.monotonic() + 90
        while text not in self.path.read_text() and time.monotonic() < deadline:
            time.sleep(0.05)
        return text in self.path.read_text()

    def ends_well(self) -> bool:
        """Wait until it ends."""
        return self.process.wait(120) == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def settings(command: str, *overrides: str):
    """Compose a command's settings as it does itself."""
    register_settings()
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose(command, list(overrides), return_hydra_config=True)
        HydraConfig.instance().set_config(config)
        return settings_of(config)
