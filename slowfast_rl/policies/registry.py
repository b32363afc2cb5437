"""Classes by name and by import path: which ones a file may name, and which are imported.

A class that a file names is used only if it is registered, or if the caller allows its import path,
so that a file from an untrusted source imports and runs nothing.
"""

import sys
from collections.abc import Iterable
from importlib import import_module
from typing import Any, TypeVar

from slowfast_rl.members.bounds import quoted
from slowfast_rl.policies.class_checks import check_class
from slowfast_rl.policies.component import Component

C = TypeVar("C", bound=type[Component])
Allowed = Iterable[type[Component] | str] | type[Component] | str
_REGISTERED: dict[tuple[str, str], type[Component]] = {}  # by kind and name


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


def registered(kind: str) -> dict[str, type[Component]]:
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
        raise ValueError(f"{where} is {quoted(path)}; allowed is the import path of a class")
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"{where} is {quoted(path)}, and {error}; allowed is the import path of a class, found "
            "from the current directory or --config-dir"
        ) from error
    except AttributeError as error:
        raise ValueError(
            f"{where} is {quoted(path)}: {error}; allowed is the import path of a class"
        ) from error
    except (Exception, SystemExit) as error:  # a user's module may raise anything
        raise ValueError(
            f"{where} is {quoted(path)}, and importing {module} fails with {type(error).__name__}: "
            f"{error}; allowed is the import path of a class"
        ) from error


def find_class(kind: str, name: str, allow: Allowed = ()) -> type[Component]:
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
    own = f"that you name, as in allow=[{quoted(name)}]" if "." in name else "that you register"
    raise ValueError(
        f"{kind} {quoted(name)} is not allowed; allowed: {', '.join(sorted(known))}, and your "
        f"own classes {own}"
    )


def as_allowed(allow: Allowed) -> tuple[type[Component] | str, ...]:
    """Return the classes and import paths that a caller allows; a single one needs no list."""
    return (allow,) if isinstance(allow, str | type) else tuple(allow)


def search_modules_in(folders: Iterable[Any]) -> None:
    """Add folders to the end of the search path of modules."""
    for folder in map(str, folders):
        if folder not in sys.path:
            sys.path.append(folder)
