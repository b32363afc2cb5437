"""Hydra's errors in one line that names the value and what is allowed."""

from difflib import get_close_matches
from typing import Any

from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf


def explain(error: Exception, overrides: list[str], config: DictConfig) -> str:
    """Return what is wrong with a command line.

    Args:
        error: hydra's.
        overrides: the command line's.
        config: the configuration without them.
    """
    if isinstance(error, MissingConfigException) and error.options is not None:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        options = [o for o in error.options if not o.endswith("_settings")]
        return f"unknown {group} {option!r}; allowed: {', '.join(options)}"
    if isinstance(error, OverrideParseException):
        return (
            f"cannot read {error.override!r}; allowed is name=value, a value with special "
            "characters in quotes of its own, as in 'checkpoints=[\"my run\"]'"
        )
    for override in overrides:
        unknown = _unknown_part(override, config)
        if unknown is not None:
            return unknown
    first, *others = str(error).splitlines()
    if first.startswith("Ambiguous value"):
        return f"{first}; add -m to run once for each value, or write a list as [a,b]"
    return " ".join([first, *others])


def _unknown_part(override: str, config: DictConfig) -> str | None:
    key = override.split("=", 1)[0].lstrip("+~")
    if "@" in key or "/" in key or override.startswith("+"):
        return None
    level: Any = config
    for part in key.split("."):
        if not isinstance(level, DictConfig):
            return None
        if part not in list(level):  # `in` does not see what is still missing
            names = [str(name) for name in level if name not in ("hydra", "_target_")]
            close = get_close_matches(part, names, 1, 0.5)
            hint = f"did you mean {close[0]!r}? " if close else ""
            return f"unknown setting {key!r}; {hint}allowed: {', '.join(names)}"
        if OmegaConf.is_missing(level, part):
            return None
        level = level[part]
    return None
