"""The base of planners, pacers, rankers and executors: settings, training, files and names.

A planner, pacer, ranker or executor derives from one of the bases in
:mod:`slowfast_rl.policies.contracts`, whether it is built in or a user's own. A saved component
names its class. It is rebuilt only if that class is registered, or if the caller allows its import
path, so that a file from an untrusted source imports and runs nothing.
"""

import inspect
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from importlib import import_module
from operator import index
from typing import Any, ClassVar, Self, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from slowfast_rl.members.world import World
from slowfast_rl.policies import settings as settings_module
from slowfast_rl.policies.settings import check_hints, check_names, settings_text

C = TypeVar("C", bound="type[Component]")
F = TypeVar("F", bound=Callable[..., Any])
State = Mapping[str, Any]
Allowed = Iterable["type[Component] | str"] | type["Component"] | str
KINDS = ("planner", "pacer", "ranker", "executor")
_BASES: dict[str, "type[Component]"] = {}  # by kind, the class that introduced it
_REGISTERED: dict[tuple[str, str], "type[Component]"] = {}  # by kind and name


class Component:
    """A part of an agent.

    Attributes:
        kind: "planner", "pacer", "ranker" or "executor"; set by the base classes.
        name: the name of the class in files, on the command line and in leaderboards.
        Settings: the frozen dataclass of its settings; a subclass of
            :class:`~slowfast_rl.policies.settings.Settings`.
        parts: the kind of each attribute that holds a component or None; the constructor takes
            the same names.
        fill_in: alternatives, each the methods that a subclass must define.
        vector: name of the attribute that ``learn`` sets and a compiled function reads, [W];
            empty where there is none.
        learn_arguments: names of the arguments that the agent passes to ``learn`` after the world.
        learns: whether the class defines ``learn``.
        settings: the settings of this instance.
    """

    kind: ClassVar[str]
    name: ClassVar[str] = ""
    Settings: ClassVar[type[settings_module.Settings]] = settings_module.Settings
    parts: ClassVar[Mapping[str, str]] = {}
    fill_in: ClassVar[tuple[tuple[str, ...], ...]] = ()
    vector: ClassVar[str] = ""
    learn_arguments: ClassVar[tuple[str, ...]] = ()
    learns: ClassVar[bool] = False
    settings: Any

    def __init__(self, settings: Any = None, **values: Any) -> None:
        """Store the settings, given as one object or each by its name."""
        if settings is not None and not isinstance(settings, self.Settings):
            raise ValueError(
                f"settings of {type(self).__name__} is {settings!r}; allowed is a "
                f"{self.Settings.__name__}, or each setting by its name"
            )
        if settings is not None and values:
            raise ValueError(
                f"settings of {type(self).__name__} are given as one object and by name "
                f"({', '.join(sorted(values))}); allowed is either"
            )
        self.settings = self.Settings(**values) if settings is None else settings

    def __init_subclass__(cls, **arguments: Any) -> None:
        """Document the settings, and note whether the class learns."""
        super().__init_subclass__(**arguments)
        if "kind" in cls.__dict__:
            _BASES.setdefault(cls.kind, cls)
        vector = cls.vector
        if isinstance(cls.__dict__.get(vector), np.ndarray | list | tuple):
            setattr(cls, vector, as_vector(f"{vector} of {cls.__name__}", cls.__dict__[vector]))
        learn = getattr(cls, "learn", None)
        cls.learns = learn is not None and not getattr(learn, "_does_nothing", False)
        if is_dataclass(cls.__dict__.get("Settings")) and "__init__" not in cls.__dict__:
            text = settings_text(cls.Settings)
            cls.__doc__ = f"{inspect.getdoc(cls) or cls.__name__}\n\n{text}".rstrip()
            cls.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # for help()
                [
                    inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default)
                    for f in fields(cls.Settings)
                ]
            )

    def __setattr__(self, name: str, value: Any) -> None:
        """Keep what a compiled function reads as float32."""
        if name and name == self.vector:
            value = as_vector(f"{name} of {type(self).__name__}", value)
        super().__setattr__(name, value)

    def state(self) -> dict[str, Any]:
        """Return the learned state by name: arrays, and values that JSON can represent."""
        return {}

    @classmethod
    def from_state(
        cls, world: World, settings: Any, state: Mapping[str, Any], **parts: Any
    ) -> Self:
        """Rebuild an instance from the result of :meth:`state`.

        Args:
            world: the world in which it was trained.
            settings: an instance of :attr:`Settings`.
            state: the result of :meth:`state`.
            parts: components by name, for :attr:`parts`.

        Raises:
            ValueError: the state does not fit.
        """
        if state:
            raise ValueError(f"{cls.name} has state {sorted(state)}; allowed: none")
        return cls.made_of(settings, **parts)

    @classmethod
    def made_of(cls, settings: Any, **parts: Any) -> Self:
        """Return a new instance of settings and parts, each by its name."""
        return cls(**accepted(cast(Any, cls).__init__, settings=settings), **parts)

    def before_learning(self) -> Self:
        """Return an instance of the same settings and parts, as it was before anything learned."""
        found = {name: getattr(self, name) for name in self.parts}
        parts = {
            name: part.before_learning() if part is not None and part.learns else part
            for name, part in found.items()
        }
        return self.made_of(self.settings, **parts)


def does_nothing(method: F) -> F:
    """Mark a base class's ``learn``: a class that inherits it does not learn."""
    method._does_nothing = True  # type: ignore[attr-defined]  # read by __init_subclass__
    return method


def register(cls: C) -> C:
    """Register a class under its kind and name, so that it is found without an import path.

    Use it as a decorator. A registered class is allowed wherever an agent is loaded, because it is
    imported already.

    Raises:
        ValueError: the class is not complete, or another one has its name.
    """
    check_class(cls)
    key = (cls.kind, cls.name)
    other = _REGISTERED.get(key)
    if other is not None and import_path(other) != import_path(cls):
        raise ValueError(
            f"{cls.kind} {cls.name!r} is registered for {import_path(other)}; "
            "allowed is another name"
        )
    _REGISTERED[key] = cls
    return cls


def registered(kind: str) -> dict[str, "type[Component]"]:
    """Return the registered classes of a kind by name."""
    return {name: cls for (its_kind, name), cls in _REGISTERED.items() if its_kind == kind}


def import_path(cls: type) -> str:
    """Return the import path of a class, such as "my_module.MyPlanner"."""
    return f"{cls.__module__}.{cls.__qualname__}"


def import_class(path: str, where: str) -> Any:
    """Return the class at an import path that the caller gave; never used for paths from files.

    Raises:
        ValueError: the module or the name does not exist, or the import fails.
    """
    module, _, name = str(path).rpartition(".")
    if not module:
        raise ValueError(f"{where} is {path!r}; allowed is the import path of a class")
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"{where} is {path!r}, and {error}; allowed is the import path of a class, found from "
            "the current directory or --config-dir"
        ) from error
    except AttributeError as error:
        raise ValueError(
            f"{where} is {path!r}: {error}; allowed is the import path of a class"
        ) from error
    except (Exception, SystemExit) as error:  # a user's module may raise anything
        raise ValueError(
            f"{where} is {path!r}, and importing {module} fails with {type(error).__name__}: "
            f"{error}; allowed is the import path of a class"
        ) from error


def find_class(kind: str, name: str, allow: Allowed = ()) -> "type[Component]":
    """Return the class of a kind that a file names.

    Args:
        kind: the kind of component, such as "planner".
        name: the name of a registered class, or an import path.
        allow: the caller's own classes, or their import paths.

    Raises:
        ValueError: the class is neither registered nor allowed; then nothing of it is imported.
    """
    known = registered(kind)
    if name in known:
        return known[name]
    for allowed in as_allowed(allow):
        if name == (allowed if isinstance(allowed, str) else import_path(allowed)):
            cls = import_class(name, "allow") if isinstance(allowed, str) else allowed
            check_class(cls, kind)
            found: type[Component] = cls
            return found
    for cls in known.values():  # registered by the caller's own code
        if import_path(cls) == name:
            return cls
    own = f"that you name, as in allow=[{name!r}]" if "." in name else "that you register"
    raise ValueError(
        f"{kind} {name!r} is not allowed; allowed: {', '.join(sorted(known))}, and your own "
        f"classes {own}"
    )


def as_allowed(allow: Allowed) -> tuple["type[Component] | str", ...]:
    """Return the classes and import paths that a caller allows; a single one needs no list."""
    return (allow,) if isinstance(allow, str | type) else tuple(allow)


def check_class(cls: Any, kind: str | None = None) -> None:
    """Raise a ValueError that names the error in a user's class, before the class is used.

    Args:
        cls: the class.
        kind: the kind that it must have; None for any.
    """
    if not (inspect.isclass(cls) and issubclass(cls, Component)):
        name = getattr(cls, "__name__", repr(cls))
        wanted = f"a {kind}: derive it from Base{kind.title()}" if kind else "a component"
        raise ValueError(f"{name} is not {wanted}")
    its_kind = getattr(cls, "kind", None)
    if kind is not None and its_kind != kind:
        raise ValueError(
            f"{cls.__name__} is no {kind} but a {its_kind or 'component'}; "
            f"derive it from Base{kind.title()}"
        )
    base: Any = _BASES.get(str(its_kind))
    if its_kind not in KINDS or not issubclass(cls, base):
        bases = ", ".join(f"Base{k.title()}" for k in KINDS)
        raise ValueError(f"{cls.__name__} is none of the parts; derive it from one of {bases}")
    if not isinstance(cls.name, str) or not cls.name:
        raise ValueError(f'{cls.__name__} has no name; give the class one, as in name = "mine"')
    own = cls.Settings
    if not (inspect.isclass(own) and issubclass(own, settings_module.Settings)):
        raise ValueError(f"{cls.__name__}.Settings is {own!r}; allowed is a subclass of Settings")
    if inspect.get_annotations(own) and "__dataclass_fields__" not in own.__dict__:
        raise ValueError(
            f"{cls.__name__}.Settings is no dataclass; decorate it with "
            "@dataclass(frozen=True, kw_only=True)"
        )
    if is_dataclass(own) and not all("text" in f.metadata for f in fields(own)):
        names = [f.name for f in fields(own) if "text" not in f.metadata]
        raise ValueError(
            f"{cls.__name__}.Settings has {names} without a text; declare fields with setting(…)"
        )
    if is_dataclass(own):
        check_hints(f"{cls.__name__}.Settings", own)
    parts = cls.parts
    if not isinstance(parts, Mapping) or not all(part in KINDS for part in parts.values()):
        raise ValueError(
            f"{cls.__name__}.parts is {parts!r}; allowed is the kind of each attribute, as in "
            '{"ranker": "ranker"}'
        )
    filled = [all(getattr(cls, m) is not getattr(base, m) for m in ms) for ms in cls.fill_in]
    if not any(filled):
        wanted = " or ".join(" and ".join(methods) for methods in cls.fill_in)
        raise ValueError(f"{cls.__name__} lacks {wanted}; define it")
    if cls.learns:
        _check_learn(cls)
    saved, rebuilt = cls.state is not base.state, _rebuilds(cls)
    if saved != rebuilt:
        has, lacks = ("state", "from_state") if saved else ("from_state", "state")
        raise ValueError(f"{cls.__name__} defines {has} and lacks {lacks}; define both or neither")
    vector = cls.vector
    if cls.learns and not saved and not vector:
        raise ValueError(
            f"{cls.__name__} learns and has no state, so that what it learns would not be saved; "
            "define state and from_state"
        )
    if cls.learns and vector and cast(Any, cls).function is base.function:
        untrained = getattr(cls, vector)
        if isinstance(untrained, np.ndarray) and not untrained.size:
            raise ValueError(
                f"{cls.__name__} learns and has no {vector} before; give the class those that it "
                f"begins with, as in {vector} = np.zeros(1, np.float32)"
            )


def check_savable(component: "Component") -> None:
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
    if not _rebuilds(cls):
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


def accepted(function: Callable[..., Any], **arguments: Any) -> dict[str, Any]:
    """Return those of the arguments that a function accepts by name."""
    parameters = inspect.signature(function).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return arguments
    names = {p.name for p in parameters}
    return {name: value for name, value in arguments.items() if name in names}


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
        node["policy_version"] = whole("policy_version", component.policy_version)
    if cls.parts:
        node["parts"] = {
            part: None
            if getattr(component, part) is None
            else to_node(getattr(component, part), f"{prefix}.{part}", arrays)
            for part in cls.parts
        }
    return node


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
        raise ValueError(f"{kind} is {str(node)[:60]!r}; needed: class, settings and state")
    if not isinstance(node["class"], str):
        raise ValueError(f"{kind} has class {node['class']!r}; a name is needed")
    cls = find_class(kind, node["class"], allow)
    for what in ("settings", "state"):
        if not isinstance(node[what], dict):
            raise ValueError(f"{what} of {kind} are {node[what]!r}; a mapping is needed")
    check_names(kind, node["settings"], cls.Settings)
    known = {name for name in changes if name in node["settings"]}
    settings = cls.Settings(**node["settings"] | {name: changes[name] for name in known})
    given = node.get("parts", {})
    if not isinstance(given, dict) or sorted(given) != sorted(cls.parts):
        raise ValueError(
            f"{kind} {cls.name!r} has parts {str(given)[:60]}; "
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
    component = cls.from_state(world, settings, state, **parts)
    if hasattr(component, "policy_version"):
        version = node.get("policy_version")
        if type(version) is not int or version < 0:
            raise ValueError(f"policy_version is {version!r}; allowed is a whole number from 0")
        component.policy_version = version
    return component


def as_vector(name: str, value: Any) -> NDArray[np.float32]:
    """Return numbers as a float32 vector, [W].

    Raises:
        ValueError: they are not finite, or not one-dimensional.
    """
    try:
        vector = np.array(value, np.float32)
    except (TypeError, ValueError):
        vector = np.zeros((0, 0), np.float32)
    if vector.ndim != 1 or not np.isfinite(vector).all():
        raise ValueError(f"{name} is {str(value)[:60]!r}; allowed are finite numbers, [W]")
    return vector


def whole(name: str, value: Any) -> int:
    """Return a whole number of Python or NumPy as Python's.

    Raises:
        ValueError: it is something else.
    """
    try:
        return index(value)
    except TypeError as error:
        raise ValueError(f"{name} is {value!r}; allowed is a whole number") from error


def search_modules_in(folders: Iterable[Any]) -> None:
    """Add folders to the end of the search path of modules."""
    for folder in map(str, folders):
        if folder not in sys.path:
            sys.path.append(folder)


def _rebuilds(cls: "type[Component]") -> bool:
    """Return whether a class, or one that it derives from, has a ``from_state`` of its own."""
    own: Any = cls.from_state
    base: Any = _BASES[cls.kind].from_state
    return own.__func__ is not base.__func__


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
            f"{name} is {str(value)[:60]!r}; allowed is an array, or what JSON can hold"
        ) from error


def _check_learn(cls: "type[Component]") -> None:
    """Raise ValueError if the agent cannot call ``learn``."""
    given = ("self", "world", *cls.learn_arguments)
    parameters = inspect.signature(cast(Any, cls).learn).parameters
    positional = [p for p in parameters.values() if p.kind is not p.KEYWORD_ONLY]
    takes_any = any(p.kind is p.VAR_POSITIONAL for p in positional)
    if not takes_any and [p.name for p in positional[1:2]] != ["world"]:
        raise ValueError(f"{cls.__name__}.learn takes no world; allowed is learn(self, world, …)")
    for name, parameter in parameters.items():
        variadic = parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        if parameter.default is parameter.empty and not variadic and name not in given:
            raise ValueError(
                f"{cls.__name__}.learn needs {name!r}, which the agent does not give; allowed: "
                f"{', '.join(given[1:])}"
            )
