"""An agent on disk: validated JSON and safetensors, in a directory or a zip; never a pickle."""

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from slowfast_rl.members.parsing import tree_from_world, world_from_tree
from slowfast_rl.members.world import World
from slowfast_rl.store.files import write_bytes_atomically

FORMAT = 1
_JSON, _WEIGHTS = "agent.json", "weights.safetensors"
_KEYS = {
    "format": int, "world": dict, "world_name": str, "seed": int, "train_opportunities": int,
    "train_cpu_seconds": float, "pacer": str, "ranker": str, "ranker_state": dict, "planner": str,
    "planner_settings": dict,
}  # fmt: skip
_ALLOWED = {"pacer": ("exact",), "ranker": ("quality", "affinity"), "planner": ("ppo", "fixed")}


def write_agent(
    path: Path, world: World, content: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Write an agent; a killed write leaves the old agent or none.

    The JSON goes last: a directory without it is no agent.
    """
    whole = {"format": FORMAT, "world_name": world.name, "world": tree_from_world(world)} | dict(
        content
    )
    text = json.dumps(whole, indent=1).encode()
    weights = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
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
    try:
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                text, weights = archive.read(_JSON), archive.read(_WEIGHTS)
        else:
            text, weights = (path / _JSON).read_bytes(), (path / _WEIGHTS).read_bytes()
        content, arrays = json.loads(text), load(weights)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, SafetensorError) as error:
        raise ValueError(f"{path} holds no readable agent: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"{path} has no agent of format {FORMAT}")
    for key, kind in _KEYS.items():
        if not isinstance(content.get(key), kind):
            raise ValueError(f"{path}: {key} is {content.get(key)!r}; a {kind.__name__} is needed")
    for key, allowed in _ALLOWED.items():
        if content[key] not in allowed:
            raise ValueError(f"{path}: {key} is {content[key]!r}; allowed: {', '.join(allowed)}")
    return world_from_tree(content["world"], content["world_name"]), content, arrays
