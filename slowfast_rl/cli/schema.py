"""A constructor's signature is the schema of its settings: nothing is written twice."""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from importlib import import_module
from types import NoneType, UnionType
from typing import Any, ClassVar, Protocol, TypeVar, Union, get_args, get_origin, get_type_hints

from hydra.core.config_store import ConfigStore
from hydra.errors import InstantiationException
from hydra.utils import instantiate


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]


T = TypeVar("T", bound=_Dataclass)
SIGNATURES = {  # by (group, option)
    ("slow", "rollouts"): "slowfast_rl.slow.RolloutPlanner",
    ("slow", "ppo"): "slowfast_rl.slow.PPOPlanner",
    ("slow", "segments"): "slowfast_rl.slow.SegmentsPlanner",
    ("slow", "utility"): "slowfast_rl.slow.UtilityPlanner",
}
_NAMES: dict[type, str] = {
    bool: "true or false", int: "a whole number", float: "a number", str: "text",
    dict: "a mapping", tuple: "a list",
}  # fmt: skip


def register_signatures() -> None:
    """Offer constructors' settings with their defaults as hydra config nodes.

    A YAML of the group lists ``<option>_signature`` in its defaults and holds only what it chooses
    otherwise.
    """
    for (group, option), path in SIGNATURES.items():
        parameters = inspect.signature(_constructor(path, option)).parameters.values()
        node = {"_target_": path} | {
            p.name: p.default for p in parameters if isinstance(p.default, (*_NAMES, NoneType))
        }
        ConfigStore.instance().store(name=f"{option}_signature", group=group, node=node)


def signature_help(path: str) -> list[tuple[str, Any, str]]:
    """Return (name, default, what the docstring says of it) of a constructor's settings."""
    target = _constructor(path, "path")
    arguments = (inspect.getdoc(target) or "").partition("Args:\n")[2]
    entries = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", arguments.split("\n\n")[0], re.MULTILINE)
    texts = {name: " ".join(text.split()).rstrip(".") for name, text in entries}
    parameters = inspect.signature(target).parameters.values()
    return [(p.name, p.default, texts.get(p.name, "")) for p in parameters]


def read(kind: type[T], settings: Mapping[str, Any], where: str = "") -> T:
    """Make a dataclass of settings.

    Raises:
        ValueError: a setting is missing, unknown, of the wrong type or outside what is allowed.
    """
    hints = get_type_hints(kind)
    names = [field.name for field in fields(kind)]
    _check_names(settings, names, where)
    for field in fields(kind):
        needed = field.default is MISSING and field.name not in settings
        if needed or settings.get(field.name) == "???":
            allowed = _allowed(hints[field.name])
            raise ValueError(f"{where}{field.name} is missing; allowed is {allowed}")
    return kind(**{k: fit(v, hints[k], f"{where}{k}") for k, v in settings.items()})


def build(settings: Mapping[str, Any], where: str) -> Any:
    """Make what a config node describes: ``_target_`` and its arguments.

    Raises:
        ValueError: a setting is unknown, of the wrong type or outside what is allowed.
    """
    target = _constructor(settings.get("_target_"), f"{where}._target_")
    arguments = {k: v for k, v in settings.items() if k != "_target_"}
    parameters = inspect.signature(target).parameters
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        _check_names(arguments, list(parameters), f"{where}.")
    hints = get_type_hints(target.__init__ if inspect.isclass(target) else target)
    for name, value in arguments.items():
        fit(value, hints.get(name, Any), f"{where}.{name}")
    try:
        return instantiate(dict(settings), _convert_="all")
    except InstantiationException as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        raise ValueError(f"{where}: {cause}") from error


def fit(value: Any, wanted: Any, where: str) -> Any:
    """Return a value as its type hint wants it, lists as tuples, mappings as dataclasses.

    Raises:
        ValueError: it is of another type.
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
        shown = "null" if value is None else repr(value)
        raise ValueError(f"{where} is {shown}; allowed is {_allowed(wanted)}")
    return value


def _constructor(path: Any, where: str) -> Callable[..., Any]:
    module, _, name = str(path).rpartition(".")
    try:
        found: Callable[..., Any] = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"{where} is {path!r}; allowed is the import path of a class") from error
    return found


def _is_a(value: Any, kind: type) -> bool:
    if isinstance(value, bool):
        return kind is bool
    return kind in _NAMES and isinstance(value, (int, float) if kind is float else kind)


def _allowed(wanted: Any) -> str:
    kinds = get_args(wanted) if get_origin(wanted) in (Union, UnionType) else (wanted,)
    names = [_NAMES.get(get_origin(k) or k, "a mapping") for k in kinds if k is not NoneType]
    return " or ".join(names + ["null"] * (NoneType in kinds))


def _check_names(settings: Mapping[str, Any], names: list[str], where: str) -> None:
    allowed = ", ".join(names) or "none"
    for name in settings:
        if name not in names:
            raise ValueError(f"unknown setting '{where}{name}'; allowed: {allowed}")
