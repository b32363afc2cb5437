"""Docstrings and signatures as they are at run time, for the pages of the API.

mkdocstrings reads the source without running it. Some classes complete their docstring when they
are defined: environments with the table of their observation, and parts of agents with their
settings.
"""

import inspect
import re
from dataclasses import Field, fields
from importlib import import_module
from typing import Any

import griffe

from slowfast_rl.policies.component import Component
from slowfast_rl.policies.settings import default_of

_DEFAULT = re.compile(r" \(default [^()\n]*\)\.$", re.MULTILINE)
_ROLE = re.compile(r":(?:class|func|meth|attr|data|mod):`(~?)([\w.]+)`")


class RuntimeDocstrings(griffe.Extension):
    """Completes classes by what importing them shows, and turns Sphinx's roles into links."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Complete an object; griffe calls it for each that it has read."""
        if isinstance(obj, griffe.Class) and obj.parent is obj.module:
            _complete(obj)
        if obj.docstring is not None:
            text = _ROLE.sub(_as_link, obj.docstring.value)
            # What learn may declare is listed under a title that is none of griffe's sections.
            obj.docstring.value = text.replace("The agent passes:", "Args:")


def _complete(cls: griffe.Class) -> None:
    """Take docstring and signature of a class from the imported one.

    A class whose module needs an extra that the lock leaves out stays as the source has it.
    """
    try:
        found = vars(import_module(cls.module.path))[cls.name]
    except ImportError as error:
        if "pip install 'slowfast_rl[" not in str(error):
            raise
        return
    if cls.docstring is not None and found.__doc__:
        cls.docstring.value = inspect.cleandoc(found.__doc__)
    if "__signature__" in vars(found) and cls.docstring is not None:
        cls.set_member("__init__", _init_of(found))
        cls.docstring.value = _DEFAULT.sub(".", cls.docstring.value)  # shown from the signature
    elif issubclass(found, Component) and "Settings" in vars(found) and cls.docstring is not None:
        cls.docstring.value += f"\n\n{_settings_section(found)}"


def _init_of(cls: Any) -> griffe.Function:
    """Return the constructor of a part of an agent, whose arguments are its settings."""
    keyword = griffe.ParameterKind.keyword_only
    parameters = [
        griffe.Parameter(f.name, annotation=_type(f), kind=keyword, default=repr(default_of(f)))
        for f in fields(cls.Settings)
    ]
    return griffe.Function("__init__", parameters=griffe.Parameters(*parameters))


def _settings_section(cls: Any) -> str:
    """Return a section on the settings of a class that has a constructor of its own."""
    lines = [
        f"    {f.name} ({_type(f)}): {f.metadata['text']} (default {default_of(f)!r})."
        for f in fields(cls.Settings)
    ]
    return "\n".join(["Keyword Args:", *lines])


def _type(declared: Field[Any]) -> str:
    return str(getattr(declared.type, "__name__", declared.type))


def _as_link(role: re.Match[str]) -> str:
    """Return a link to the object if the site documents it, else its name as code."""
    short, name = role.groups()
    shown = name.rpartition(".")[2] if short else name
    if not name.startswith("slowfast_rl."):
        return f"`{shown}`"
    return f'<autoref identifier="{name}" optional><code>{shown}</code></autoref>'
