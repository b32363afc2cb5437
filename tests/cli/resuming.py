"""What a training must leave behind alike, whether it was stopped and continued or not."""

import csv
import json
import zipfile
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

CLOCKS = ("time", "cpu_seconds", "fps")  # words in the names of what depends on the clock


def outcome(folder: Path) -> dict[str, Any]:
    """Return all results of a run that do not depend on the clock."""
    board = json.loads((folder / "leaderboard.json").read_text())
    with zipfile.ZipFile(folder / "checkpoints" / "final.zip") as archive:
        agent = json.loads(archive.read("agent.json"))
        weights = archive.read("weights.safetensors")
    return {
        "agent": _without_clocks(agent),
        "weights": weights,
        "table": table_of(folder / "metrics.csv"),
        "board": [_without_clocks(row) for row in board["agents"]],
        "curves": {run.name: points(run) for run in _runs(folder)},
    }


def table_of(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a ``metrics.csv``, without what depends on the clock."""
    with path.open() as file:
        return [_without_clocks(row) for row in csv.DictReader(file)]


def _runs(folder: Path) -> list[Path]:
    """Return the TensorBoard runs of a training; those of a sweep's jobs are all in one place."""
    own = folder / "tensorboard"
    return sorted(own.iterdir()) if own.exists() else sorted(folder.parent.glob("tensorboard/*"))


def points(run: Path) -> list[tuple[str, int, bytes]]:
    """Return tag, step and value of every point of a TensorBoard run, sorted."""
    found = []
    for path in run.glob("events.out.tfevents.*"):
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                if not _clock(value.tag) and value.tag != "_hparams_/session_end_info":
                    content = value.tensor.SerializeToString()
                    found.append((value.tag, int(event.step), content))
    return sorted(found)


def _without_clocks(row: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in row.items() if not _clock(k) and k not in ("checkpoint", "sha256")}


def _clock(name: str) -> bool:
    return any(word in name for word in CLOCKS)
