"""Continue a run or a sweep that was stopped: its command line, its lock, and what had ended."""

import argparse
import fcntl
import json
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from slowfast_rl.members.reading import parse_json, parse_yaml
from slowfast_rl.store.files import write_text_atomically

COMMAND_FILE = "command.json"  # of a run or a sweep that can resume
START_FILE = "training.json"  # what a training begins with
_ARGUMENTS = ("overrides", "multirun", "config_name", "config_path", "config_dir")
_FOLDER = "working_directory"


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
    if (folder / COMMAND_FILE).is_file():
        return folder
    if not folder.is_dir():
        why = "which is a file" if folder.exists() else "which does not exist"
    elif (folder.absolute().parent / COMMAND_FILE).is_file():
        raise ValueError(
            f"resume is {folder}, which belongs to a sweep; allowed is resume="
            f"{folder.absolute().parent}, which runs the jobs that have not ended well"
        )
    else:
        why = f"which has no {COMMAND_FILE}"
    raise ValueError(
        f"resume is {folder}, {why}; allowed is the folder of a training or of a sweep of trainings"
    )


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
    path = folder / "leaderboard.json"
    if not path.exists():
        return None
    agents = read_results(path, "agents")
    name = read_results(folder / START_FILE, "name")
    row: Mapping[str, Any] = next((row for row in agents if row["name"] == name), {})
    if not row:
        raise ValueError(f"{path} is damaged: it has no row of {name}")
    return row


def read_results(path: Path, key: str) -> Any:
    """Return what a JSON file that a command wrote holds under a key.

    Raises:
        ValueError: the file is missing or damaged.
    """
    try:
        return parse_json(path.read_bytes())[key]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is missing or damaged: {error}") from error


def changed_settings(path: Path, text: str) -> list[str]:
    """Return which settings differ between a run's file and what was composed again, as YAML.

    Raises:
        ValueError: the file holds no settings.
    """
    before = path.read_bytes()
    if before == text.encode():
        return []
    try:
        old = dict(_leaves(parse_yaml(before)))
    except (ValueError, AttributeError) as error:
        raise ValueError(f"{path} is damaged: it holds no settings") from error
    new, absent = dict(_leaves(parse_yaml(text.encode()))), object()
    return [f"{key} was {_shown(old, key)} and is {_shown(new, key)}"
            for key in {**old, **new} if old.get(key, absent) != new.get(key, absent)]  # fmt: skip


def _leaves(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each setting of a configuration, with the names of the nodes that it lies in."""
    for name, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _shown(settings: Mapping[str, Any], key: str) -> str:
    return f"{settings[key]!r:.60}" if key in settings else "missing"


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
