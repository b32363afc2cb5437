"""The checkpoints of a training on disk, and SIGTERM."""

import hashlib
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Any

from numpy.typing import NDArray

from slowfast_rl.agents.disk import read_arrays, write_arrays
from slowfast_rl.agents.trees import flatten, unflatten
from slowfast_rl.cli.results import say
from slowfast_rl.policies.component import State

SCHEMA = 1  # of the files
_KEPT = 3  # checkpoints


class Terminated(KeyboardInterrupt):
    """The process was told to end."""


class RunCheckpoints:
    """The checkpoints of a run: ``checkpoints/training-<number>.safetensors``, the last three.

    Args:
        folder: the folder of the run.
        identity: what tells this training from others.
        every_seconds: a state that is offered is kept if the last one is at least as old.

    Attributes:
        state: of the agent's training, from the newest file that is whole; None if there is none.
        beside: what the run kept beside it; empty if there is none.
        more: returns what the run keeps beside the state of the training.

    Raises:
        ValueError: the checkpoints are those of another training.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any], every_seconds: float) -> None:
        self._folder, self._identity = folder / "checkpoints", dict(identity)
        self._every, self._last = every_seconds, monotonic()
        self._terminated = self._learning = False
        self.state: State | None = None
        self.beside: State = {}
        self.more: Callable[[], State] = dict
        files = self._files()
        for path in reversed(files):
            try:
                arrays, head = read_arrays(path)
            except ValueError as error:
                say(f"warning: a checkpoint is skipped: {' '.join(str(error).split())}")
                continue
            self._check(path, head)
            tree = unflatten(head["tree"], arrays)
            self.state, self.beside = tree["training"], tree["beside"]
            say(f"Continues from {path}")
            break
        if files and self.state is None:
            say("warning: no checkpoint is whole; the training begins again")

    def offer(self, make: Callable[[], State]) -> None:
        """Write a state, unless the last one is recent; end if the process was told to.

        Raises:
            Terminated: after SIGTERM; the state is written first.
            OSError: it cannot be written; earlier ones stay as they are.
        """
        if monotonic() - self._last >= self._every or self._terminated:
            self._write(make())
            self._last = monotonic()
        if self._terminated:
            raise Terminated

    @contextmanager
    def saving_at_sigterm(self) -> Iterator[None]:
        """Let SIGTERM end the process: while learning at the next state that is offered.

        A second SIGTERM, and one outside of learning, ends it at once; one for a learner that
        offers nothing any more, when it has learned. Nothing is done in a thread, because Python
        handles signals in the main thread alone.
        """
        try:
            before = signal.signal(signal.SIGTERM, self._on_sigterm)
        except ValueError:
            yield
            return
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    @contextmanager
    def learning(self) -> Iterator[None]:
        """Mark the time in which states are offered.

        Raises:
            Terminated: there was a SIGTERM, and no state was offered any more.
        """
        self._learning = True
        try:
            yield
        finally:
            self._learning = False
        if self._terminated:
            raise Terminated

    def _on_sigterm(self, number: int, frame: FrameType | None) -> None:
        if self._terminated or not self._learning:
            raise Terminated
        self._terminated = True
        say("Ending: the training is saved first")

    def _files(self) -> list[Path]:
        """Return the files of this run, the oldest first."""
        return checkpoint_files(self._folder.parent)

    def _write(self, state: State) -> None:
        arrays: dict[str, NDArray[Any]] = {}
        tree = flatten({"training": state, "beside": self.more()}, arrays)
        head = {"schema": SCHEMA, "identity": self._identity, "tree": tree}
        files = self._files()
        number = int(files[-1].stem.rpartition("-")[2]) + 1 if files else 0
        write_arrays(self._folder / f"training-{number:06}.safetensors", arrays, head)
        for old in files[: 1 - _KEPT]:
            old.unlink(missing_ok=True)

    def _check(self, path: Path, head: Mapping[str, Any]) -> None:
        """Raise ValueError if a file is of another training or another version."""
        found = {"schema": head.get("schema")} | head.get("identity", {})
        wanted = {"schema": SCHEMA} | self._identity
        changed = [f"{k} was {found.get(k)} and is {v}" for k, v in wanted.items()
                   if found.get(k) != v]  # fmt: skip
        if changed:
            raise ValueError(f"{path} is of another training: {', '.join(changed)}")


def checkpoint_files(folder: Path) -> list[Path]:
    """Return the checkpoints of a run, the oldest first."""
    return sorted((folder / "checkpoints").glob("training-*.safetensors"))


def remove_checkpoints(folder: Path) -> None:
    """Remove what a run that has ended does not need any more."""
    for path in checkpoint_files(folder):
        path.unlink(missing_ok=True)


def digest(text: str) -> str:
    """Return what identifies a configuration."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
