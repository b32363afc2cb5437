"""A planner's beliefs on disk: parts of safetensors and JSON in one zip, never all in memory."""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from slowfast_rl.policies.belief_memory import BeliefMemory
from slowfast_rl.store.files import written_atomically

_HEAD = "beliefs.json"
_MEMBERS = 1 << 10  # in a part
_UNREADABLE = (
    OSError, EOFError, KeyError, ValueError, TypeError, RuntimeError, zipfile.BadZipFile,
    zlib.error, SafetensorError,
)  # fmt: skip


def write_beliefs(path: Path, memory: BeliefMemory | None, head: Mapping[str, Any]) -> None:
    """Write beliefs so that readers see the old file or all of the new one, even after a crash.

    Args:
        path: the file.
        memory: the beliefs; None for those of a planner that has none.
        head: what JSON can hold, to identify them.
    """
    with written_atomically(path) as file, zipfile.ZipFile(file, "w") as archive:
        digests: list[str] = []
        for part in () if memory is None else memory.parts(_MEMBERS):
            content = save(part)
            archive.writestr(_part_name(len(digests)), content)
            digests.append(hashlib.sha256(content).hexdigest())
        archive.writestr(_HEAD, json.dumps(dict(head) | {"sha256": digests}))


def read_head(path: Path) -> dict[str, Any]:
    """Return the head of a file that :func:`write_beliefs` wrote.

    Raises:
        ValueError: the file is missing or damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return dict(json.loads(archive.read(_HEAD)))
    except _UNREADABLE as error:
        raise ValueError(f"{path} is unreadable: {error}") from error


def read_parts(path: Path) -> Iterator[dict[str, NDArray[Any]]]:
    """Yield the parts of a file's beliefs, for :meth:`BeliefMemory.add`.

    Raises:
        ValueError: the file is damaged.
    """
    digests = read_head(path).get("sha256")
    if not isinstance(digests, list):
        raise ValueError(f"{path} is damaged: it has no checksums")
    for number, digest in enumerate(digests):
        try:
            with zipfile.ZipFile(path) as archive:
                content = archive.read(_part_name(number))
            if hashlib.sha256(content).hexdigest() != digest:
                raise ValueError("a checksum is not that of its beliefs")
            part = {name: np.asarray(array) for name, array in load(content).items()}
        except _UNREADABLE as error:
            raise ValueError(f"{path} is damaged: {error}") from error
        yield part


def _part_name(number: int) -> str:
    return f"part-{number:06}.safetensors"
