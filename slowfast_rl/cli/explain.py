"""Hydra's errors in one line that names the value and what is allowed."""

import re
from difflib import get_close_matches
from typing import Any

from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from slowfast_rl.cli.schema import SETTINGS_SUFFIX

_NO_GROUP = re.compile(r"Could not override '([^']*)'\. No match in the defaults list")
_EXTRAS = {  # of the package, which bring an option
    "hydra/launcher/joblib": "sweep",
    "hydra/launcher/ray": "ray",
    "hydra/sweeper/optuna": "sweep",
}


def explain(error: Exception) -> str:
    """Return what is wrong with a command line, from the configuration that hydra composed."""
    if isinstance(error, MissingConfigException) and error.options is not None:
        missing = str(error.missing_cfg_file)
        group, _, option = missing.rpartition("/")
        options = [o for o in error.options if not o.endswith(SETTINGS_SUFFIX)]
        extra = _EXTRAS.get(missing)
        hint = f"; pip install 'slowfast_rl[{extra}]' brings it" if extra else ""
        return f"unknown {group} {option!r}; allowed: {', '.join(options)}{hint}"
    if isinstance(error, OverrideParseException):
        return (
            f"cannot read {error.override!r}; allowed is name=value; put a value with special "
            "characters in quotes, as in 'checkpoints=[\"my run\"]'"
        )
    unknown = _NO_GROUP.match(str(error))
    if unknown:
        return f"unknown group {unknown[1]!r} of this command; allowed are the groups in --help"
    cause = error.__cause__
    if isinstance(cause, ConfigAttributeError | ConfigKeyError) and cause.full_key:
        return _unknown(cause)
    first, *others = (str(error) or str(cause)).splitlines()
    if first.startswith("Ambiguous value"):
        return f"{first}; add -m to run once for each value, or write a list as [a,b]"
    detail = [str(cause).splitlines()[0]] if isinstance(cause, OmegaConfBaseException) else others
    return ": ".join([first, *detail])


def _unknown(error: ConfigAttributeError | ConfigKeyError) -> str:
    """Return which setting does not exist, and those beside which it was looked for."""
    node = error.parent_node
    names = [str(n) for n in node if n not in ("hydra", "_target_")] if node is not None else []
    inside = [f"{n}.{error.key}" for n in names if _has(node, n, str(error.key))]
    close = inside or get_close_matches(str(error.key), names, 1, 0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"unknown setting {error.full_key!r}; {hint}allowed: {', '.join(names) or 'none'}"


def _has(node: Any, name: str, key: str) -> bool:
    """Return whether a setting of a node is a group with a setting of this name."""
    below = node._get_node(name)
    return isinstance(below, DictConfig) and not below._is_none() and key in below
