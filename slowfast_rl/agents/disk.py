"""An agent on disk: validated JSON and safetensors, in a directory or a zip; never a pickle."""

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import NoneType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from slowfast_rl.members.parsing import tree_from_world, world_from_tree
from slowfast_rl.members.world import World
from slowfast_rl.store.files import write_bytes_atomically

FORMAT = 2
_DIGEST = hashlib.sha256().digest_size
_JSON, _WEIGHTS = "agent.json", "weights.safetensors"
_KEYS: dict[str, type | tuple[type, ...]] = {
    "format": int, "weights_sha256": str, "world_name": str, "world": dict, "seed": int,
    "train_opportunities": int, "train_cpu_seconds": float, "kind": str, "name": str,
    "slow": (dict, NoneType), "fast": dict, "plans_for": str, "turns": (list, NoneType),
    "settings": dict,
}  # fmt: skip
_DEFAULTS: dict[str, Any] = {
    "turns": None,
    "settings": {},
}  # defaults of keys that older files lack
# What damaged archives and files are known to raise; OSError where there is no file.
_UNREADABLE = (
    OSError, EOFError, KeyError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error,
    SafetensorError,
)  # fmt: skip


def write_agent(
    path: Path, world: World, content: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Write an agent to a directory, or to a zip if the path ends in ``.zip``.

    A killed write of a zip leaves the old agent; that of a directory leaves the old agent or one
    that :func:`read_agent` refuses, because the JSON names the weights' digest.
    """
    weights = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    head = {
        "format": FORMAT,
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "world_name": world.name,
        "world": tree_from_world(world),
    }
    text = json.dumps(head | dict(content), indent=1, allow_nan=False).encode()
    if path.suffix == ".zip":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr(_WEIGHTS, weights)
            archive.writestr(_JSON, text)
        write_bytes_atomically(path, buffer.getvalue())
    else:
        write_bytes_atomically(path / _WEIGHTS, weights)
        write_bytes_atomically(path / _JSON, text)


def read_agent(path: Path) -> tuple[World, dict[str, Any], dict[str, NDArray[Any]]]:
    """Read an agent written by :func:`write_agent`.

    Raises:
        ValueError: a file is missing or damaged, or its content is not allowed.
    """
    if not path.exists():
        raise ValueError("it does not exist")
    within = path / "checkpoints" / "final.zip"
    if within.exists() and not (path / _JSON).exists():
        raise ValueError(f"it is a run's folder; its agent is {within}")
    try:
        text, weights = _read(path)
        content, arrays = json.loads(text), load(weights)
    except _UNREADABLE as error:
        raise ValueError(f"unreadable: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"no agent of format {FORMAT}")
    content = _DEFAULTS | content
    for key, kind in _KEYS.items():
        if not isinstance(content.get(key), kind):
            names = [k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,))]
            found = str(content.get(key))[:60]
            raise ValueError(f"{key} is {found}; a {' or '.join(names)} is needed")
    if content["weights_sha256"] != hashlib.sha256(weights).hexdigest():
        raise ValueError(f"weights are not those that {_JSON} was written with")
    return world_from_tree(content["world"], content["world_name"]), content, arrays


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]], head: Mapping[str, Any]) -> None:
    """Write arrays with what JSON can hold beside them, and a digest of both, whole or not at all.

    The file is one of safetensors, followed by the 32 bytes of the SHA-256 digest.
    """
    text = json.dumps(dict(head), allow_nan=False)
    packed = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    content = save(packed, {"json": text})
    write_bytes_atomically(path, content + hashlib.sha256(content).digest())


def read_arrays(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read what :func:`write_arrays` wrote.

    Raises:
        ValueError: the file is missing or damaged.
    """
    try:
        signed = path.read_bytes()
        content, digest = signed[:-_DIGEST], signed[-_DIGEST:]
        if hashlib.sha256(content).digest() != digest:
            raise ValueError("it is damaged: its digest is that of another content")
        size = int.from_bytes(content[:8], "little")
        head = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["json"])
        return load(content), dict(head)
    except (*_UNREADABLE, TypeError) as error:
        raise ValueError(f"{path} is unreadable: {error}") from error


def _read(path: Path) -> tuple[bytes, bytes]:
    """Return the JSON and the weights."""
    if path.suffix != ".zip":
        return (path / _JSON).read_bytes(), (path / _WEIGHTS).read_bytes()
    with zipfile.ZipFile(path) as archive:
        return archive.read(_JSON), archive.read(_WEIGHTS)
