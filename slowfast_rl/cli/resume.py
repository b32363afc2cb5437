"""Continue a training that was stopped: its checkpoints on disk, its lock, and SIGTERM."""

import argparse
import fcntl
import hashlib
import json
import os
import shlex
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Any

from numpy.typing import NDArray

from slowfast_rl.agents.disk import read_arrays, write_arrays
from slowfast_rl.agents.trees import flatten, unflatten
from slowfast_rl.cli.results import say
from slowfast_rl.policies.component import State
from slowfast_rl.store.files import write_text_atomically

SCHEMA = 1  # of the files
COMMAND_FILE = "command.json"  # of a run or a sweep that can resume
START_FILE = "training.json"  # what a training begins with
_ARGUMENTS = ("overrides", "multirun", "config_name", "config_path", "config_dir")
_FOLDER = "working_directory"
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


def resumed_folder(overrides: Sequence[str]) -> Path | None:
    """Return the folder of ``resume=<folder>``; None where the command line has none.

    Raises:
        ValueError: other overrides come with it, or no run is there.
    """
    words = [word for word in overrides if word.startswith("resume=")]
    if not words:
        return None
    folder = Path(words[-1].removeprefix("resume=").strip("'\""))
    if len(overrides) > 1:
        others = " ".join(word for word in overrides if word is not words[-1])
        raise ValueError(f"resume={folder} comes with {others}; allowed is resume alone")
    if not (folder / COMMAND_FILE).is_file():
        raise ValueError(
            f"resume is {folder}, which has no {COMMAND_FILE}; allowed is the folder of a training "
            "or of a sweep of trainings, not of one of its jobs"
        )
    return folder


def command_line(args: argparse.Namespace) -> dict[str, Any]:
    """Return what was given on the command line, as JSON can hold it."""
    return {name: getattr(args, name) for name in _ARGUMENTS} | {_FOLDER: str(Path.cwd())}


def write_command(folder: Path, command: Mapping[str, Any]) -> None:
    """Write a command line to the folder of its run or sweep."""
    write_text_atomically(folder / COMMAND_FILE, json.dumps(dict(command), indent=1))


def read_command(folder: Path) -> dict[str, Any]:
    """Return what :func:`write_command` wrote.

    Raises:
        ValueError: the file is damaged.
    """
    path = folder / COMMAND_FILE
    try:
        command = json.loads(path.read_text())
        texts = [command[_FOLDER], *(command[name] or "" for name in _ARGUMENTS[2:])]
        if not isinstance(command["overrides"], list):
            raise ValueError("overrides are no list")
        if not all(isinstance(text, str) for text in [*texts, *command["overrides"]]):
            raise ValueError("what is no text cannot be an argument")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} holds no command line: {error}") from error
    return {name: command[name] for name in (*_ARGUMENTS, _FOLDER)}


def return_to(folder: str) -> None:
    """Change to the folder in which a command was given, from which its paths are read.

    Raises:
        ValueError: it does not exist any more.
    """
    try:
        os.chdir(folder)
    except OSError as error:
        raise ValueError(f"the command was given in {folder}, which cannot be used") from error


def original_command(folder: Path) -> str | None:
    """Return the command line that a run or its sweep began with, also where it was resumed."""
    for place in (folder, folder.parent):
        if (place / COMMAND_FILE).exists():
            command = read_command(place)
            del command[_FOLDER]
            flags = [f"--{name.replace('_', '-')}={command[name]}" for name in _ARGUMENTS[2:]
                     if command[name] is not None]  # fmt: skip
            sweep = ["-m"] if command["multirun"] else []
            return shlex.join(["slowfast-train", *flags, *sweep, *command["overrides"]])
    return None


def how_to_continue(folder: Path) -> str:
    """Return how a run or a sweep can continue, for the end of a message; empty where it cannot."""
    begun = (folder / COMMAND_FILE).exists() and any(folder.rglob(START_FILE))
    if not begun:
        return ""
    shown = folder.absolute()
    if shown.is_relative_to(Path.cwd()):
        shown = shown.relative_to(Path.cwd())
    return f"; continue with slowfast-train {shlex.quote(f'resume={shown}')}"


def ended_row(folder: Path) -> Mapping[str, Any] | None:
    """Return the leaderboard row of a run's agent; None where the run has not ended."""
    if not (folder / "leaderboard.json").exists():
        return None
    name = json.loads((folder / START_FILE).read_text())["name"]
    agents = json.loads((folder / "leaderboard.json").read_text())["agents"]
    row: Mapping[str, Any] = next(row for row in agents if row["name"] == name)
    return row


def digest(text: str) -> str:
    """Return what identifies a configuration."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder for this process alone; the lock ends with the process, however it ends.

    A folder that was made for it and is empty in the end is removed.

    Raises:
        ValueError: another process holds it.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(
                f"{folder} is in use by another process; allowed is a run that no process writes to"
            ) from error
        yield
    finally:
        os.close(handle)
        for path in made:  # a folder in which nothing came to be is not left
            with suppress(OSError):
                path.rmdir()
