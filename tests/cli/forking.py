"""Commands in processes of their own that start quickly: copies of one that has the imports."""

import multiprocessing
import os
import sys
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

from tests.cli.calls import run_command

STARTER = multiprocessing.get_context("forkserver")
STARTER.set_forkserver_preload(
    [f"slowfast_rl.cli.{name}" for name in ("train", "metrics", "plan", "serve")]
    + ["slowfast_rl.logs.parquet", "slowfast_rl.store.redis", "slowfast_rl.store.shared"]
    + ["pandas", "scipy.linalg", "hydra._internal.core_plugins.basic_launcher"]  # at first use
)


def start_command(
    command: str,
    arguments: tuple[str, ...],
    folder: Path,
    log: Path,
    before: Callable[..., None] | None = None,
    *given: object,
) -> BaseProcess:
    """Start a command in a folder; what it says is appended to a file.

    Args:
        command: its name, without ``slowfast-``.
        arguments: its arguments.
        folder: in which it runs.
        log: the file.
        before: a function of a module, called in the new process before the command.
        given: the arguments of that function.
    """
    process = STARTER.Process(
        target=_command,
        args=(command, arguments, str(folder), str(log), before, given),
        daemon=True,
    )
    process.start()
    return process


def _command(command, arguments, folder, path, before, given):
    os.chdir(folder)
    with open(path, "a") as log:
        sys.stdout = sys.stderr = log
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        if before is not None:
            before(*given)
        sys.exit(run_command(command, *arguments))
