"""An agent on disk: validated JSON and safetensors, in a directory or a zip; never a pickle."""

import hashlib
import io
import json
import math
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

from slowfast_rl.members.bounds import LARGEST_COUNT, quoted, whole_number
from slowfast_rl.members.parsing import tree_from_world, world_from_tree
from slowfast_rl.members.random import check_seeds
from slowfast_rl.members.reading import (
    MAX_JSON_BYTES,
    parse_json,
    read_bytes,
    sealed,
    unsealed,
)
from slowfast_rl.members.world import World
from slowfast_rl.store.files import write_bytes_atomically

FORMAT = 3
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
_DATE, _UNIX = (1980, 1, 1, 0, 0, 0), 3  # of every archive: its bytes depend on the agent alone
_LONGEST_TEXT = 1000  # characters of a name or kind
_MOST_TURNS = 1000
# What damaged archives and files are known to raise; OSError where there is no file.
_UNREADABLE = (
    OSError, EOFError, KeyError, ValueError, RuntimeError, MemoryError, zipfile.BadZipFile,
    zlib.error, SafetensorError,
)  # fmt: skip


def write_agent(
    path: Path, world: World, content: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Write an agent to a directory, or to a zip if the path ends in ``.zip``.

    The same agent gives the same bytes at any time. A killed write of a zip leaves the old agent;
    that of a directory leaves the old agent or one that :func:`read_agent` refuses, because the
    JSON names the weights' digest.

    Raises:
        ValueError: :func:`read_agent` would refuse the content.
    """
    weights = save({name: np.asarray(array, order="C") for name, array in arrays.items()})
    head = {
        "format": FORMAT,
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "world_name": world.name,
        "world": tree_from_world(world),
    }
    _check_content(_DEFAULTS | head | dict(content))
    text = sealed(json.dumps(head | dict(content), indent=1, allow_nan=False))
    if len(text) > MAX_JSON_BYTES:
        raise ValueError(
            f"{_JSON} would have {len(text)} bytes; allowed is at most {MAX_JSON_BYTES}, with long "
            "lists as arrays"
        )
    if path.suffix == ".zip":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, part in ((_WEIGHTS, weights), (_JSON, text)):
                entry = zipfile.ZipInfo(name, _DATE)
                entry.create_system, entry.external_attr = _UNIX, 0o600 << 16
                archive.writestr(entry, part)
        write_bytes_atomically(path, buffer.getvalue())
    else:
        write_bytes_atomically(path / _WEIGHTS, weights)
        write_bytes_atomically(path / _JSON, text)


def read_agent(path: Path) -> tuple[World, dict[str, Any], dict[str, NDArray[Any]]]:
    """Read an agent written by :func:`write_agent`.

    Digests are compared before anything is parsed, and sizes before anything is unpacked.

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
        content = parse_json(unsealed(text))
    except _UNREADABLE as error:
        raise ValueError(f"unreadable: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"no agent of format {FORMAT}")
    content = _DEFAULTS | content
    _check_content(content)
    if content["weights_sha256"] != hashlib.sha256(weights).hexdigest():
        raise ValueError(f"weights are not those that {_JSON} was written with")
    try:
        arrays = load(weights)
    except _UNREADABLE as error:
        raise ValueError(f"unreadable: {error}") from error
    return world_from_tree(content["world"], content["world_name"]), content, arrays


def _check_content(content: Mapping[str, Any]) -> None:
    """Raise ValueError if an entry has a type or a value that no agent has."""
    for key, kind in _KEYS.items():
        value = content.get(key)
        if not isinstance(value, kind):
            names = [k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,))]
            raise ValueError(f"{key} is {quoted(value)}; a {' or '.join(names)} is needed")
        if isinstance(value, str) and not (len(value) <= _LONGEST_TEXT and value.isprintable()):
            raise ValueError(f"{key} is {quoted(value)}; allowed is a line of text")
    check_seeds(seed=content["seed"])
    whole_number("train_opportunities", content["train_opportunities"], 0, LARGEST_COUNT)
    if not 0 <= content["train_cpu_seconds"] < math.inf:
        raise ValueError(
            f"train_cpu_seconds is {content['train_cpu_seconds']}; allowed is 0 or more"
        )
    turns = content["turns"] or []
    if len(turns) > _MOST_TURNS or not all(turn in ("slow", "fast") for turn in turns):
        raise ValueError(
            f"turns are {quoted(turns)}; allowed are slow and fast, at most {_MOST_TURNS}"
        )


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]], head: Mapping[str, Any]) -> None:
    """Write arrays with what JSON can hold beside them, and a digest of both, whole or not at all.

    The file is one of safetensors, followed by the 32 bytes of the SHA-256 digest.
    """
    text = json.dumps(dict(head), allow_nan=False)
    packed = {name: np.asarray(array, order="C") for name, array in arrays.items()}
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
        return read_bytes(path / _JSON, MAX_JSON_BYTES), (path / _WEIGHTS).read_bytes()
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        if sorted(archive.namelist()) != [_JSON, _WEIGHTS]:
            raise ValueError(
                f"it holds {quoted(archive.namelist())}; allowed are {_JSON} and {_WEIGHTS}"
            )
        size = path.stat().st_size
        for entry in entries.values():
            stored = entry.compress_type == zipfile.ZIP_STORED
            if not stored or entry.file_size != entry.compress_size or entry.file_size > size:
                raise ValueError(
                    f"{entry.filename} is compressed; allowed is a zip that only stores its files"
                )
        if entries[_JSON].file_size > MAX_JSON_BYTES:
            raise ValueError(f"{_JSON} has more than {MAX_JSON_BYTES} bytes")
        return archive.read(_JSON), archive.read(_WEIGHTS)
