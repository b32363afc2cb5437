"""Build a world from nested mappings, as YAML gives them, with errors that name the parameter."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any

from slowfast_rl.members.bounds import quoted
from slowfast_rl.members.parameters import PerChannel, group_types
from slowfast_rl.members.shapes import UNIFORM, Shape
from slowfast_rl.members.world import Slot, World, check_channels, check_name

_WEEKDAYS = range(7)
_TIME = re.compile("([0-9]{1,2}):([0-9]{1,2})")
_SLOT_KEYS = ["time", "channel", "weekdays"]
_FLAT = [0] * 7  # default log weights of a shape


def world_from_tree(tree: Mapping[str, Any], name: str) -> World:
    """Build a world from nested mappings.

    Args:
        tree: the parameters, nested as in a world's YAML file.
        name: the world's name.

    Raises:
        ValueError: a key is missing or unknown, or a value is not allowed.
    """
    allowed = [f.name for f in fields(World) if f.name != "name"]
    optional = [f.name for f in fields(World) if f.default is not MISSING]
    _check_keys(tree, allowed, "world", optional=allowed)
    missing = [key for key in allowed if key not in tree and key not in optional]
    if missing:
        raise ValueError(
            f"world {name!r} lacks {', '.join(missing)}; a file that gives only what differs names "
            "the world that it changes, as in 'base: pronounced'"
        )
    channels = _names(tree["channels"], "channels")
    groups = {
        group: _group(kind, tree[group], channels, group) for group, kind in group_types().items()
    }
    menu, safe_plan = tree["menu"], tree["safe_plan"]
    return World(
        name=name,
        channels=channels,
        num_topics=_whole(tree["num_topics"], "num_topics"),
        num_candidates=_whole(tree["num_candidates"], "num_candidates"),
        schedule=_schedule(tree["schedule"], channels),
        menu=tuple(
            tuple(_whole(target, f"menu.{channel}") for target in _targets(targets, channel))
            for channel, targets in zip(channels, _by_channel(menu, channels, "menu"), strict=True)
        ),
        safe_plan=tuple(
            _whole(t, "safe_plan") for t in _by_channel(safe_plan, channels, "safe_plan")
        ),
        shapes=_shapes(tree.get("shapes", {})),
        **groups,
    )


def _group(kind: Any, tree: Any, channels: tuple[str, ...], group: str) -> Any:
    """Return one parameter group; numbers become floats, so that 5 and 5.0 give equal worlds."""
    _check_keys(tree, [f.name for f in fields(kind)], group)
    values = {}
    for parameter in fields(kind):
        value, where = tree[parameter.name], f"{group}.{parameter.name}"
        if parameter.type == PerChannel:
            if isinstance(value, list):
                raise ValueError(
                    f"{where} is {quoted(value)}; one number, or one per channel, is needed"
                )
            values[parameter.name] = tuple(map(_float, _by_channel(value, channels, where)))
        elif parameter.type == tuple[float, ...]:
            if not isinstance(value, list):
                raise ValueError(f"{where} is {quoted(value)}; a list of numbers is needed")
            values[parameter.name] = tuple(map(_float, value))
        elif parameter.type is float and isinstance(value, list | dict):
            raise ValueError(f"{where} is {quoted(value)}; one number is needed")
        else:
            values[parameter.name] = _float(value)
    return kind(**values)


def _float(value: Any) -> Any:
    """Return integers as floats and other values unchanged; bounds are checked later."""
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    try:
        return float(value)
    except OverflowError:
        return value


def _by_channel(value: Any, channels: tuple[str, ...], where: str) -> tuple[Any, ...]:
    if not isinstance(value, Mapping):
        return (value,) * len(channels)
    if set(value) != set(channels):
        raise ValueError(
            f"{where} has {quoted(list(value))}; one value per channel {quoted(list(channels))} "
            "is needed"
        )
    return tuple(value[c] for c in channels)


def _names(value: Any, where: str) -> tuple[str, ...]:
    names = isinstance(value, list) and all(isinstance(name, str) for name in value)
    if not names or len(set(value)) != len(value) or not value:
        raise ValueError(f"{where} is {quoted(value)}; a list of names, each once, is needed")
    check_channels(tuple(value))
    return tuple(value)


def _targets(value: Any, channel: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"menu.{channel} is {quoted(value)}; a list of whole numbers is needed")
    return value


def _schedule(slots: Any, channels: tuple[str, ...]) -> tuple[Slot, ...]:
    if not isinstance(slots, list):
        raise ValueError(f"schedule is {quoted(slots)}; a list of slots is needed")
    week = [slot for entry in slots for slot in _slots(entry, channels)]
    return tuple(sorted(week, key=lambda s: (s.weekday, s.second)))


def _slots(entry: Any, channels: tuple[str, ...]) -> list[Slot]:
    """Return the slots of one schedule entry, one slot per weekday."""
    if not isinstance(entry, Mapping):
        raise ValueError(f"schedule has {quoted(entry)}; a slot is a mapping with {_SLOT_KEYS[:2]}")
    _check_known(entry, _SLOT_KEYS, "schedule")
    if entry.get("channel") not in channels:
        allowed = ", ".join(channels)
        raise ValueError(
            f"schedule names channel {quoted(entry.get('channel'))}; allowed: {allowed}"
        )
    time = entry.get("time")
    found = _TIME.fullmatch(time) if isinstance(time, str) else None
    if found is None:
        raise ValueError(f"schedule has {quoted(dict(entry))}; a time such as '08:00' is needed")
    hours, minutes = map(int, found.groups())
    if not (0 <= hours < 24 and 0 <= minutes < 60):
        raise ValueError(f"schedule has time {quoted(time)}; allowed is 00:00 to 23:59")
    weekdays = entry.get("weekdays", list(_WEEKDAYS))
    if not isinstance(weekdays, list):
        raise ValueError(f"schedule has weekdays {quoted(weekdays)}; a list of 0 to 6 is needed")
    for weekday in weekdays:
        if weekday not in _WEEKDAYS or isinstance(weekday, bool):
            raise ValueError(f"schedule has weekday {quoted(weekday)}; allowed is 0 to 6")
    channel = channels.index(entry["channel"])
    return [Slot(int(weekday), hours * 3600 + minutes * 60, channel) for weekday in weekdays]


def _shapes(tree: Any) -> tuple[Shape, ...]:
    """Return the pacing shapes; weights that a shape does not give are 0."""
    if not isinstance(tree, Mapping):
        raise ValueError(f"shapes is {quoted(tree)}; a mapping of names to shapes is needed")
    return tuple(_shape(name, shape) for name, shape in tree.items())


def _shape(name: Any, tree: Any) -> Shape:
    if not isinstance(name, str):
        raise ValueError(f"shapes has {quoted(name)}; a name other than {UNIFORM!r} is needed")
    check_name("shapes", name)
    allowed, where = [f.name for f in fields(Shape) if f.name != "name"], f"shapes.{name}"
    _check_keys(tree, allowed, where, optional=allowed)
    lists = {key: tree.get(key, _FLAT) for key in ("day", "activity")}
    for key, value in lists.items():
        if not isinstance(value, list):
            raise ValueError(f"{where}.{key} is {quoted(value)}; a list of seven numbers is needed")
    launch = tree.get("launch", 0)
    return Shape(
        name=name,
        launch=_float(launch),
        **{key: tuple(map(_float, value)) for key, value in lists.items()},
    )


def _check_keys(tree: Any, allowed: list[str], where: str, optional: Sequence[str] = ()) -> None:
    if not isinstance(tree, Mapping):
        raise ValueError(
            f"{where} is {quoted(tree)}; a mapping with {', '.join(allowed)} is needed"
        )
    _check_known(tree, allowed, where)
    for key in allowed:
        if key not in tree and key not in optional:
            raise ValueError(f"{where} lacks {key!r}; needed: {', '.join(allowed)}")


def _check_known(tree: Mapping[Any, Any], allowed: list[str], where: str) -> None:
    for key in tree:
        if key not in allowed:
            raise ValueError(
                f"unknown parameter {quoted(key)} in {where}; allowed: {', '.join(allowed)}"
            )


def _whole(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{where} has {quoted(value)}; a whole number is needed")
    return value


def tree_from_world(world: World) -> dict[str, Any]:
    """Return a world as nested mappings that JSON and YAML can hold."""

    def by_channel(values: tuple[Any, ...]) -> dict[str, Any]:
        plain = [list(v) if isinstance(v, tuple) else v for v in values]
        return dict(zip(world.channels, plain, strict=True))

    def group(parameters: Any) -> dict[str, Any]:
        values = {f.name: (f.type, getattr(parameters, f.name)) for f in fields(parameters)}
        return {
            name: by_channel(v) if kind == PerChannel else list(v) if isinstance(v, tuple) else v
            for name, (kind, v) in values.items()
        }

    return {
        "channels": list(world.channels),
        "num_topics": world.num_topics,
        "num_candidates": world.num_candidates,
        "schedule": [
            {
                "time": f"{s.second // 3600:02}:{s.second % 3600 // 60:02}",
                "channel": world.channels[s.channel],
                "weekdays": [s.weekday],
            }
            for s in world.schedule
        ],
        "menu": by_channel(world.menu),
        "safe_plan": by_channel(world.safe_plan),
        "shapes": {
            s.name: {"day": list(s.day), "launch": s.launch, "activity": list(s.activity)}
            for s in world.shapes
        },
    } | {name: group(getattr(world, name)) for name in group_types()}
