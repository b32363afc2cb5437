"""Read worlds from YAML: ``configs/world/<name>.yaml`` or a user's file.

A file may name another world as its ``base`` and then holds only what differs.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import yaml

from slowfast_rl.members.parameters import PerChannel, group_types
from slowfast_rl.members.world import Slot, World

_WEEKDAYS = range(7)


def config_folder() -> Path:
    """Return the folder of YAML files: the checkout's where there is one, else the package's."""
    package = Path(__file__).parent.parent
    checkout = package.parent / "configs"
    return checkout if (checkout / "world").is_dir() else package / "configs"


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
            a number for a per-channel parameter holds for all channels.

    Raises:
        ValueError: unknown world or parameter, or a value outside what is allowed.
    """
    tree = _read(name)
    for key, value in (overrides or {}).items():
        *parents, last = key.split(".")
        level = tree
        for part in parents:
            if not isinstance(level.get(part), dict):
                raise ValueError(
                    f"unknown world parameter {key!r}; groups: {', '.join(group_types())}"
                )
            level = level[part]
        if last not in level:
            raise ValueError(f"unknown world parameter {key!r}; allowed: {', '.join(level)}")
        level[last] = _merged(level[last], value)
    return world_from_tree(tree, Path(name).stem)


def world_from_tree(tree: Mapping[str, Any], name: str) -> World:
    """Build a world from nested mappings as YAML gives them.

    Raises:
        ValueError: a key is missing or unknown, or a value is not allowed.
    """
    tree = dict(tree)
    allowed = [f.name for f in fields(World) if f.name != "name"]
    _check_keys(tree, allowed, "world")
    channels = tuple(tree["channels"])
    groups = {
        group: _group(kind, tree[group], channels, group) for group, kind in group_types().items()
    }
    return World(
        name=name,
        channels=channels,
        num_topics=_whole(tree["num_topics"], "num_topics"),
        num_candidates=_whole(tree["num_candidates"], "num_candidates"),
        schedule=_schedule(tree["schedule"], channels),
        menu=tuple(
            tuple(_whole(t, "menu") for t in m) for m in _by_channel(tree["menu"], channels, "menu")
        ),
        safe_plan=tuple(
            _whole(t, "safe_plan") for t in _by_channel(tree["safe_plan"], channels, "safe_plan")
        ),
        **groups,
    )


def world_hash(world: World) -> str:
    """Return a short digest of all parameters, the name left out."""
    content = {k: v for k, v in asdict(world).items() if k != "name"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _read(name: str | Path) -> dict[str, Any]:
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        if str(name) not in world_names():
            raise ValueError(f"unknown world {str(name)!r}; allowed: {', '.join(world_names())}")
        path = config_folder() / "world" / f"{name}.yaml"
    try:
        tree = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ValueError(f"world file {str(path)!r} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ValueError(f"world file {str(path)!r} is not YAML: {str(error)[:80]!r}") from error
    if not isinstance(tree, dict):
        raise ValueError(
            f"world file {str(path)!r} holds {type(tree).__name__}; a mapping is needed"
        )
    base = tree.pop("base", None)
    return tree if base is None else _merged(_read(base), tree)


def _merged(below: Any, above: Any) -> Any:
    """Return ``below`` with ``above`` laid over it, mapping by mapping."""
    if not (isinstance(below, dict) and isinstance(above, Mapping)):
        return above
    return below | {k: _merged(below.get(k), v) for k, v in above.items()}


def _group(kind: Any, tree: Any, channels: tuple[str, ...], where: str) -> Any:
    allowed = [f.name for f in fields(kind)]
    _check_keys(tree, allowed, where)
    values = {}
    for parameter in fields(kind):
        value = tree[parameter.name]
        if parameter.type == PerChannel:
            value = _by_channel(value, channels, f"{where}.{parameter.name}")
        elif isinstance(value, dict):
            raise ValueError(f"{where}.{parameter.name} is {value}; one number is needed")
        values[parameter.name] = tuple(value) if isinstance(value, list) else value
    return kind(**values)


def _by_channel(value: Any, channels: tuple[str, ...], where: str) -> tuple[Any, ...]:
    if not isinstance(value, Mapping):
        return (value,) * len(channels)
    if sorted(value) != sorted(channels):
        raise ValueError(
            f"{where} has {sorted(value)}; one value per channel {list(channels)} needed"
        )
    return tuple(value[c] for c in channels)


def _schedule(slots: Any, channels: tuple[str, ...]) -> tuple[Slot, ...]:
    week = []
    for slot in slots:
        if slot.get("channel") not in channels:
            raise ValueError(f"schedule names channel {slot.get('channel')!r}; allowed: {channels}")
        try:
            hours, minutes = (int(part) for part in str(slot["time"]).split(":"))
        except (KeyError, ValueError):
            raise ValueError(f"schedule has {slot}; a time such as '08:00' is needed") from None
        if not (0 <= hours < 24 and 0 <= minutes < 60):
            raise ValueError(f"schedule has time {slot['time']!r}; allowed is 00:00 to 23:59")
        for weekday in slot.get("weekdays", _WEEKDAYS):
            if weekday not in _WEEKDAYS:
                raise ValueError(f"schedule has weekday {weekday!r}; allowed is 0 to 6")
            channel = channels.index(slot["channel"])
            week.append(Slot(weekday, hours * 3600 + minutes * 60, channel))
    return tuple(sorted(week, key=lambda s: (s.weekday, s.second)))


def _check_keys(tree: Any, allowed: list[str], where: str) -> None:
    if not isinstance(tree, Mapping):
        raise ValueError(f"{where} is {tree!r}; a mapping with {', '.join(allowed)} is needed")
    for key in tree:
        if key not in allowed:
            raise ValueError(f"unknown parameter {key!r} in {where}; allowed: {', '.join(allowed)}")
    for key in allowed:
        if key not in tree:
            raise ValueError(f"{where} lacks {key!r}; needed: {', '.join(allowed)}")


def _whole(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{where} has {value!r}; a whole number is needed")
    return value
