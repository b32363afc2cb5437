"""Check settings of commands and components; their dataclasses are the schema."""

import inspect
from collections.abc import Collection, Mapping, Sequence
from dataclasses import MISSING, Field, field, fields, is_dataclass
from math import inf
from types import NoneType, UnionType
from typing import Any, ClassVar, Protocol, TypeVar, Union, get_args, get_origin, get_type_hints

from hydra.core.config_store import ConfigStore

from slowfast_rl.members.bounds import quoted, shortened
from slowfast_rl.policies.class_checks import check_class
from slowfast_rl.policies.component import Component
from slowfast_rl.policies.registry import import_class, import_path, registered
from slowfast_rl.policies.settings import default_of, is_within, number_range
from slowfast_rl.store import FeatureStore, StoreUnavailableError


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]


T = TypeVar("T", bound=_Dataclass)
SETTINGS_SUFFIX = "_settings"  # of the config nodes that hold the settings of a class
_NAMES: dict[type, str] = {
    bool: "true or false", int: "a whole number", float: "a number", str: "text",
    dict: "a mapping", tuple: "a list", Sequence: "a list",
}  # fmt: skip


def limited(
    *,
    low: float = -inf,
    high: float = inf,
    above: bool = False,
    choices: Collection[str] = (),
    default: Any = MISSING,
) -> Any:
    """Declare what a field of a command's settings allows; its YAML file has value and meaning.

    Args:
        low: the smallest number that is allowed.
        high: the largest number that is allowed.
        above: whether a number must be above ``low``.
        choices: the words that are allowed, instead of numbers.
        default: for a setting that not every command has.
    """
    limits = {"low": low, "high": high, "above": above, "below": False, "choices": choices}
    return field(default=default, metadata=limits)


def settings_nodes() -> dict[tuple[str, str], type[Component]]:
    """Return the classes whose default settings YAML files can use, by (group, option)."""
    groups = (("slow", "planner"), ("fast", "executor"))
    return {(g, name): cls for g, kind in groups for name, cls in registered(kind).items()}


def register_settings() -> None:
    """Register the default settings of all registered classes as hydra config nodes.

    A YAML file of a level lists ``<option>_settings`` in its defaults, and then needs only the
    settings that differ from them. Pacers and rankers are options themselves, of the groups
    ``fast/pacer`` and ``fast/ranker``.
    """
    store = ConfigStore.instance().store
    for (group, option), cls in settings_nodes().items():
        store(name=f"{option}{SETTINGS_SUFFIX}", group=group, node=_node(cls))
    for part in ("pacer", "ranker"):
        for option, cls in registered(part).items():
            store(name=option, group=f"fast/{part}", node=_node(cls))


def _node(cls: type[Component]) -> dict[str, Any]:
    """Return the config node of a class with its default settings."""
    return {"_target_": import_path(cls)} | {f.name: default_of(f) for f in fields(cls.Settings)}


def settings_help(cls: type[Component]) -> list[tuple[str, Any, str]]:
    """Return (name, default, text) of a class's settings."""
    return [(f.name, default_of(f), f.metadata["text"]) for f in fields(cls.Settings)]


def read(kind: type[T], settings: Mapping[str, Any], where: str = "") -> T:
    """Make a dataclass of settings.

    Raises:
        ValueError: a setting is missing, unknown, of the wrong type or outside what is allowed.
    """
    hints = get_type_hints(kind)
    names = [f.name for f in fields(kind)]
    _check_names(settings, names, where)
    found: dict[str, Any] = {}
    for declared in fields(kind):
        name, hint = declared.name, hints[declared.name]
        value = settings.get(name, declared.default)
        if value is MISSING or value == "???":
            raise ValueError(f"{where}{name} is missing; allowed is {allowed_text(declared, hint)}")
        found[name] = fit(value, hint, f"{where}{name}")
        _check_limits(declared, found[name], hint, where)
    return kind(**found)


def allowed_text(declared: Field[Any], hint: Any) -> str:
    """Return what a field of a command's settings allows, in words.

    Args:
        declared: the field.
        hint: its type.
    """
    limits = declared.metadata
    if not limits:
        return allowed_types(hint)
    if limits.get("choices"):
        return ", ".join(limits["choices"])
    kinds = get_args(hint) or (hint,)
    return number_range(kinds[0], limits) + ", or null" * (NoneType in kinds)


def _check_limits(declared: Field[Any], value: Any, hint: Any, where: str) -> None:
    """Raise ValueError if a value is none of a field's choices, or outside its bounds."""
    limits = declared.metadata
    if value is None or not limits:
        return
    choices = limits.get("choices")  # a field of a component's settings has none
    if value in choices if choices else is_within(value, limits):
        return
    allowed = f"allowed{':' if choices else ' is'} {allowed_text(declared, hint)}"
    raise ValueError(f"{where}{declared.name} is {quoted(value)}; {allowed}")


def build(settings: Mapping[str, Any], where: str) -> Any:
    """Instantiate a config node: ``_target_`` and its arguments, which may be nodes themselves.

    Raises:
        ValueError: a setting is unknown, of the wrong type or outside what is allowed, or a class
            does not fulfil its contract or is neither a part of an agent nor a store.
    """
    target = import_class(settings.get("_target_", ""), f"{where}._target_")
    if not _is_part(target):  # whatever else is named, it is not called
        raise ValueError(
            f"{where}._target_ is {quoted(settings['_target_'])}; allowed is a planner, executor, "
            "pacer, ranker or feature store"
        )
    given = {k: v for k, v in settings.items() if k != "_target_"}
    component = inspect.isclass(target) and issubclass(target, Component)
    if component:
        check_class(target)
        own = [f.name for f in fields(target.Settings)]
        names = [*target.parts, *own] or list(inspect.signature(target).parameters)
    else:
        names = list(inspect.signature(target).parameters)
    _check_names(given, names, f"{where}.")
    hints = get_type_hints(target.Settings) if component else {}
    return fit_arguments(target, given, where, hints)


def _is_part(target: Any) -> bool:
    """Return whether something is a class of a component, or one with all of a store's methods."""
    if not inspect.isclass(target):
        return False
    methods = [name for name in vars(FeatureStore) if not name.startswith("_")]
    return issubclass(target, Component) or all(hasattr(target, name) for name in methods)


def fit_arguments(
    target: Any,
    given: Mapping[str, Any],
    where: str,
    more_hints: Mapping[str, Any] | None = None,
    **made: Any,
) -> Any:
    """Call a class or function with arguments of a config node, which may be nodes themselves.

    Args:
        target: what is called.
        given: arguments as the node has them.
        where: the node's path, for messages.
        more_hints: types of arguments that the signature does not name.
        made: arguments that were made already.

    Raises:
        ValueError: an argument is unknown, of the wrong type or outside what is allowed.
        StoreUnavailableError: a store that is to be made is locked or damaged.
    """
    function = target.__init__ if inspect.isclass(target) else target
    hints = get_type_hints(function) | dict(more_hints or {})
    if more_hints is None:
        names = [name for name in inspect.signature(target).parameters if name not in made]
        _check_names(given, names, f"{where}.")
        unwanted = [name for name in made if name not in inspect.signature(target).parameters]
        if unwanted:
            raise ValueError(
                f"{unwanted[0]} is given, and {target.__name__} takes none; allowed is null"
            )
    arguments = {
        name: build(value, f"{where}.{name}")
        if isinstance(value, Mapping) and "_target_" in value
        else fit(value, hints.get(name, Any), f"{where}.{name}")
        for name, value in given.items()
    }
    try:
        return target(**arguments, **made)
    except StoreUnavailableError:
        raise  # no mistake in the settings: who waits for the store tries again
    except (ValueError, TypeError, ImportError, OSError) as error:
        raise ValueError(f"{where}: {error}") from error


def fit(value: Any, wanted: Any, where: str) -> Any:
    """Convert a value to its type hint: lists to tuples, mappings to dataclasses.

    Raises:
        ValueError: the value is of another type.
    """
    kinds = get_args(wanted) if get_origin(wanted) in (Union, UnionType) else (wanted,)
    if value is None and NoneType in kinds:
        return None
    options = [k for k in kinds if k is not NoneType]
    kind = next((k for k in options if _is_a(value, get_origin(k) or k)), options[0])
    origin = get_origin(kind) or kind
    if is_dataclass(kind) and isinstance(kind, type) and isinstance(value, Mapping):
        return read(kind, value, f"{where}.")
    if origin is tuple and isinstance(value, list):
        return tuple(fit(v, get_args(kind)[0], f"{where}[{i}]") for i, v in enumerate(value))
    if origin in _NAMES and not _is_a(value, origin):
        shown = "null" if value is None else quoted(value)
        listed = f", as in {where}=[{shortened(str(value))}]" if origin is tuple and value else ""
        raise ValueError(f"{where} is {shown}; allowed is {allowed_types(wanted)}{listed}")
    return value


def _is_a(value: Any, kind: type) -> bool:
    if isinstance(value, bool):
        return kind is bool
    return kind in _NAMES and isinstance(value, (int, float) if kind is float else kind)


def allowed_types(wanted: Any) -> str:
    """Return the values that a type hint allows, in words."""
    kinds = get_args(wanted) if get_origin(wanted) in (Union, UnionType) else (wanted,)
    known = [_NAMES[origin] for k in kinds if (origin := get_origin(k) or k) in _NAMES]
    return " or ".join((known or ["a mapping"]) + ["null"] * (NoneType in kinds))


def _check_names(settings: Mapping[str, Any], names: list[str], where: str) -> None:
    allowed = ", ".join(names) or "none"
    for name in settings:
        if name not in names:
            raise ValueError(f"unknown setting '{where}{name}'; allowed: {allowed}")
