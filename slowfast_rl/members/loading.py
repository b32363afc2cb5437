"""Load worlds from YAML: ``configs/world/<name>.yaml`` or a user's file.

A file may name another world as its ``base``; it then lists only the parameters that differ.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from slowfast_rl.members.bounds import quoted
from slowfast_rl.members.parameters import group_types
from slowfast_rl.members.parsing import world_from_tree
from slowfast_rl.members.reading import MAX_YAML_BYTES, parse_yaml, read_bytes
from slowfast_rl.members.world import World

__all__ = [
    "as_world",
    "config_folder",
    "load_world",
    "world_from_tree",
    "world_hash",
    "world_names",
]


def config_folder() -> Path:
    """Return the folder of YAML files: in the installed package, else in the checkout."""
    package = Path(__file__).parent.parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def world_names() -> list[str]:
    """Return the names of the worlds that come with the library."""
    return sorted(p.stem for p in (config_folder() / "world").glob("*.yaml"))


def load_world(
    name: str | Path = "pronounced", overrides: Mapping[str, Any] | None = None
) -> World:
    """Load a world by name, or from a path that ends in ``.yaml``.

    Args:
        name: one of :func:`world_names`, or the path of a world file.
        overrides: dotted keys and their values, such as ``{"opt_out.hazard": {"push": .002}}``;
            a number for a per-channel parameter applies to all channels.

    Raises:
        ValueError: unknown world or parameter, or a value outside what is allowed.
    """
    tree: Any = _read(name)
    for key, value in (overrides or {}).items():
        *parents, last = key.split(".")
        level = tree
        for part in parents:
            if not isinstance(level.get(part), dict):
                groups = ", ".join(group_types())
                raise ValueError(f"unknown world parameter {key!r}; groups: {groups}")
            level = level[part]
        if last not in level:
            raise ValueError(f"unknown world parameter {key!r}; allowed: {', '.join(level)}")
        level[last] = _merged(level[last], value)
    return world_from_tree(tree, Path(name).stem)


def as_world(world: World | str | Path) -> World:
    """Return a world, or load it by its name or from its file.

    Raises:
        ValueError: it is neither, or the world is unknown.
    """
    if isinstance(world, World):
        return world
    if not isinstance(world, str | Path):
        raise ValueError(
            f"world is {quoted(world)}; allowed is a World, or the name or path of one"
        )
    return load_world(world)


def world_hash(world: World) -> str:
    """Return a short digest of a world's parameters, without its name and defaults.

    Parameters at their default are left out, so that a new optional parameter of the library does
    not change the digests of worlds that do not use it.
    """
    defaults = {f.name: f.default for f in fields(World)}
    content = {k: v for k, v in asdict(world).items() if k != "name" and v != defaults[k]}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _read(name: str | Path, above: tuple[Path, ...] = ()) -> Any:
    """Return a file's mapping merged over its base's.

    ``above`` holds the files whose ``base`` led here, to detect cycles.
    """
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        if str(name) not in world_names():
            allowed = ", ".join(world_names())
            raise ValueError(f"unknown world {quoted(str(name))}; allowed: {allowed}")
        path = config_folder() / "world" / f"{name}.yaml"
    if path in above:
        raise ValueError(f"world file {str(path)!r} is its own base")
    try:
        tree = parse_yaml(read_bytes(path, MAX_YAML_BYTES))
    except OSError as error:
        raise ValueError(f"world file {str(path)!r} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"world file {str(path)!r} cannot be read: {error}") from error
    if not isinstance(tree, dict):
        kind = type(tree).__name__
        raise ValueError(f"world file {str(path)!r} holds {kind}; a mapping is needed")
    base = tree.pop("base", None)
    if base is None:
        return tree
    if not isinstance(base, str):
        raise ValueError(f"base is {quoted(base)}; the name or path of a world is needed")
    if base.endswith((".yaml", ".yml")):
        base = str(path.parent / base)  # relative to the file that names it
    return _merged(_read(base, (*above, path)), tree)


def _merged(below: Any, above: Any) -> Any:
    """Return ``below`` updated recursively with ``above``."""
    if not (isinstance(below, dict) and isinstance(above, Mapping)):
        return above
    return below | {k: _merged(below.get(k), v) for k, v in above.items()}
