"""Commands called in this process, as from a shell."""

import importlib
import sys
from typing import NamedTuple

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig

from slowfast_rl.cli.app import settings_of
from slowfast_rl.cli.schema import register_signatures
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


def settings(command: str, *overrides: str):
    """Compose a command's settings as it does itself."""
    register_signatures()
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose(command, list(overrides), return_hydra_config=True)
        HydraConfig.instance().set_config(config)
        return settings_of(config)
