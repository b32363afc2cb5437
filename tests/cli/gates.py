"""Commands that wait for their test instead of the time, and that may be told to kill themselves.

A command stops at a gate wherever it would sleep. `slowfast-serve` sleeps before each moment of
the simulation: a day's beginning, when it will publish clock and observations, and each
opportunity, when it will read plans and decide. `slowfast-plan` sleeps after each look at the
store. Of the gates' folder, file ``at`` says how many gates the command came to, ``open`` how many
it may pass, and after how many operations with files and locks it kills itself then, 0 for never.
"""

import importlib
import os
import resource
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import numpy as np

from slowfast_rl.store.files import write_text_atomically
from tests.cli.calls import Running
from tests.cli.forking import start_command
from tests.waiting import comes_true

OPERATIONS = {"open", "os.rename", "os.remove", "os.mkdir", "os.truncate", "fcntl.flock"}


class Gated(Running):
    """A command that stops at gates."""

    def __init__(self, command: str, *arguments: str, cwd: Path) -> None:
        self._gates, self._passed = cwd / uuid4().hex, 0
        self._gates.mkdir()
        write_text_atomically(self._gates / "at", "0")
        write_text_atomically(self._gates / "open", "0 0")
        self.path = self._gates / "log"
        self.path.touch()
        if command == "serve":
            arguments = (*arguments, "week_seconds=0")
        self.process = start_command(
            command, arguments, cwd, self.path, stop_at_gates, command, str(self._gates)
        )

    def exit_code(self) -> int | None:
        return self.process.exitcode

    def arrives(self) -> bool:
        """Wait until it stands at the next gate; False if it ends before."""

        def there() -> bool:
            return int((self._gates / "at").read_text()) > self._passed

        comes_true(lambda: there() or self.ended())
        return there() and not self.ended()

    def pass_gate(self, dies_at: int = 0) -> None:
        """Let it go on to the next gate; at which operation it kills itself, 0 for none."""
        self._passed += 1
        write_text_atomically(self._gates / "open", f"{self._passed} {dies_at}")


def moments(draws: np.random.Generator, number: int, end: int, apart: int) -> set[int]:
    """Draw whole numbers below ``end``, of which no two are nearer than ``apart``."""
    starts = np.sort(draws.choice(end - number * apart, number, replace=False))
    return set((starts + apart * np.arange(number)).tolist())


def limit_files(process: int | None, size: int) -> None:
    """Let no file of a process grow beyond some bytes, as on a full disk; -1 for no limit."""
    assert process is not None
    _, largest = resource.prlimit(process, resource.RLIMIT_FSIZE)
    resource.prlimit(process, resource.RLIMIT_FSIZE, (size, largest))


def stop_at_gates(command: str, path: str) -> None:
    """Replace the clock of a command by gates; called in its process."""
    folder, parent, gates, left, hooked = Path(path), os.getppid(), 0, 0, False

    def count(event: str, _: object) -> None:
        nonlocal left
        if left and event in OPERATIONS:
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    def ask(_: float) -> None:
        nonlocal gates, left, hooked
        before, left = left, 0  # operations with the gates' own files do not count
        gates += 1
        write_text_atomically(folder / "at", str(gates))
        while True:
            opened, dies_at = map(int, (folder / "open").read_text().split())
            if opened >= gates:
                break
            if os.getppid() != parent:
                sys.exit("nobody is left to open the gate")
            time.sleep(0.002)
        if dies_at and not hooked:
            sys.addaudithook(count)
            hooked = True
        left = dies_at or before

    module = importlib.import_module(f"slowfast_rl.cli.{command}")
    module.time = SimpleNamespace(monotonic=time.monotonic, sleep=ask)
