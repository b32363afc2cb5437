"""Components as JSON and arrays, and back."""

import inspect
import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from slowfast_rl.members.bounds import LARGEST_COUNT, quoted, shortened, whole_number
from slowfast_rl.members.world import World
from slowfast_rl.policies.class_checks import rebuilds
from slowfast_rl.policies.component import Component
from slowfast_rl.policies.registry import Allowed, find_class, import_path, registered
from slowfast_rl.policies.settings import check_names


def check_savable(component: Component) -> None:
    """Raise ValueError if a component could not be rebuilt from what is saved of it.

    A class must be registered or have a path that it can be imported by. What its constructor
    takes must be settings or parts, unless it defines ``state`` and ``from_state``.
    """
    cls = type(component)
    known = registered(cls.kind).get(cls.name) is cls
    if not known and (cls.__module__ == "__main__" or "<locals>" in cls.__qualname__):
        raise ValueError(
            f"{cls.__name__} is defined in {import_path(cls)}, where it cannot be imported from; "
            "put it into a module of its own, or register it, so that it can be saved"
        )
    if not rebuilds(cls):
        parameters = inspect.signature(cast(Any, cls).__init__).parameters.values()
        named = {p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
        lost = sorted(named - {"self", "settings", *cls.parts})
        if lost:
            raise ValueError(
                f"{cls.__name__} takes {', '.join(lost)}, which would not be saved; make them "
                "settings, or define state and from_state"
            )
    for part in cls.parts:
        if getattr(component, part) is not None:
            check_savable(getattr(component, part))


def to_node(component: Component, prefix: str, arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """Return a component as values for JSON, and add its arrays to ``arrays`` under a prefix.

    Raises:
        ValueError: the class cannot be imported by its path, or JSON cannot represent its state.
        RuntimeError: the component has not learned yet.
    """
    check_savable(component)
    cls, state = type(component), dict(component.state())
    for name, value in list(state.items()):
        if isinstance(value, np.ndarray):
            arrays[f"{prefix}.{name}"] = state.pop(name)
        else:
            state[name] = _as_json(f"state {name} of {cls.__name__}", value)
    ours = registered(cls.kind).get(cls.name) is cls and cls.__module__.startswith("slowfast_rl.")
    node: dict[str, Any] = {
        "class": cls.name if ours else import_path(cls),
        "settings": component.settings.to_dict(),
        "state": state,
    }
    if hasattr(component, "policy_version"):
        node["policy_version"] = whole_number(
            "policy_version", component.policy_version, 0, LARGEST_COUNT
        )
    if cls.parts:
        node["parts"] = {
            part: None
            if getattr(component, part) is None
            else to_node(getattr(component, part), f"{prefix}.{part}", arrays)
            for part in cls.parts
        }
    return node


def recipe(component: Component) -> dict[str, Any]:
    """Return all that was chosen of a component, as JSON can hold it: no state that it learned.

    Class, settings and parts; of a component that does not learn also its state, arrays as digests.
    """
    found = {part: getattr(component, part) for part in component.parts}
    chosen = {
        "class": import_path(type(component)),
        "settings": component.settings.to_dict(),
        "parts": {name: None if part is None else recipe(part) for name, part in found.items()},
    }
    if component.learns:
        return chosen
    what = f"of {type(component).__name__}"
    state = {
        name: _digest(value) if isinstance(value, np.ndarray) else _as_json(f"{name} {what}", value)
        for name, value in component.state().items()
    }
    return chosen | {"state": state}


def from_node(
    node: Any,
    kind: str,
    world: World,
    prefix: str,
    arrays: Mapping[str, NDArray[Any]],
    allow: Allowed = (),
    **changes: Any,
) -> Any:
    """Rebuild a component from :func:`to_node`.

    Args:
        node: the result of :func:`to_node`, read from JSON.
        kind: the kind that it must have.
        world: the world in which it was trained.
        prefix: the prefix of its arrays' names.
        arrays: all arrays of the file.
        allow: the caller's own classes, or their import paths.
        changes: new values of settings, for classes that have these settings.

    Raises:
        ValueError: a class is not allowed, or settings or state do not fit.
    """
    keys = {"class", "settings", "state", "policy_version", "parts"}
    if not isinstance(node, dict) or not {"class", "settings", "state"} <= set(node) <= keys:
        raise ValueError(f"{kind} is {quoted(node)}; needed: class, settings and state")
    if not isinstance(node["class"], str):
        raise ValueError(f"{kind} has class {quoted(node['class'])}; a name is needed")
    cls = find_class(kind, node["class"], allow)
    for what in ("settings", "state"):
        if not isinstance(node[what], dict):
            raise ValueError(f"{what} of {kind} are {quoted(node[what])}; a mapping is needed")
    check_names(kind, node["settings"], cls.Settings)
    known = {name for name in changes if name in node["settings"]}
    settings = cls.Settings(**node["settings"] | {name: changes[name] for name in known})
    given = node.get("parts", {})
    if not isinstance(given, dict) or sorted(given) != sorted(cls.parts):
        raise ValueError(
            f"{kind} {cls.name!r} has parts {quoted(given)}; "
            f"allowed: {', '.join(cls.parts) or 'none'}"
        )
    parts = {
        part: None
        if given[part] is None
        else from_node(given[part], its_kind, world, f"{prefix}.{part}", arrays, allow, **changes)
        for part, its_kind in cls.parts.items()
    }
    inner = {f"{prefix}.{part}." for part in cls.parts}
    state = dict(node["state"]) | {
        name.removeprefix(f"{prefix}."): array
        for name, array in arrays.items()
        if name.startswith(f"{prefix}.") and not any(name.startswith(p) for p in inner)
    }
    try:
        component = cls.from_state(world, settings, state, **parts)
    except ValueError as error:  # whose message may quote what the file holds
        raise ValueError(shortened(str(error))) from error
    if hasattr(component, "policy_version"):
        version = node.get("policy_version")
        component.policy_version = whole_number("policy_version", version, 0, LARGEST_COUNT)
    return component


def _digest(array: NDArray[Any]) -> str:
    """Return the digest of an array's values, shape and type."""
    head = f"{array.dtype} {array.shape} ".encode()
    return sha256(head + np.ascontiguousarray(array).tobytes()).hexdigest()[:16]


def _as_json(name: str, value: Any) -> Any:
    """Return a value as JSON would give it back, NumPy's numbers as Python's.

    Raises:
        ValueError: JSON cannot hold it.
    """

    def number(found: Any) -> Any:
        if isinstance(found, np.generic):
            return found.item()
        raise TypeError(type(found).__name__)

    try:
        return json.loads(json.dumps(value, allow_nan=False, default=number))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} is {quoted(value)}; allowed is an array, or what JSON can hold"
        ) from error


def classes_of(component: Component) -> tuple[type[Component], ...]:
    """Return the classes of a component and of its parts, for ``allow``."""
    parts = [getattr(component, name) for name in component.parts]
    inner = [kind for part in parts if part is not None for kind in classes_of(part)]
    return (type(component), *inner)
