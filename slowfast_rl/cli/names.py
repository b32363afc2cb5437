"""What an agent and its curves are called, by what the command line says."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

from slowfast_rl.members.loading import config_folder

_GROUPS = ("agent", "slow", "fast", "fast/pacer", "fast/ranker")  # that choose an agent's parts
_MOST_SHOWN = 2  # settings in an agent's name
_LONGEST = 80  # characters of them
_EVALUATED = (  # settings that change what a baseline returns, besides those of the evaluation
    "world", "world_file", "world_overrides", "num_members", "weeks", "population_seed",
    "luck_seed",
)  # fmt: skip


def overrides(telling_apart: bool = False) -> dict[str, str]:
    """Return the overrides of the command line by key, without hydra's own.

    Args:
        telling_apart: whether to leave out, in a sweep, those that all of its jobs share.
    """
    if not HydraConfig.initialized():
        return {}
    config = HydraConfig.get()
    same = config.job.config.override_dirname.exclude_keys if telling_apart else ()
    pairs = (word.lstrip("+~").partition("=") for word in config.overrides.task)
    return {key: value for key, _, value in pairs if key not in same}


def parts_exchanged() -> bool:
    """Return whether the command line chooses parts of the agent and does not name it.

    The name that an experiment gives is then not the agent's: others have it who were not changed.
    """
    given = overrides()
    chosen = any(key in _GROUPS or key.endswith("._target_") for key in given)
    return chosen and "name" not in given


def _of_experiment() -> dict[str, Any]:
    """Return the settings of agent and levels that the chosen experiment's file gives, by key."""
    if not HydraConfig.initialized():
        return {}
    runtime = HydraConfig.get().runtime
    option = runtime.choices.get("experiment")
    folders = [source.path for source in runtime.config_sources if source.schema == "file"]
    files = [Path(folder) / "experiment" / f"{option}.yaml" for folder in folders]
    file = next((file for file in files if file.is_file()), None)
    found: Any = {} if file is None else OmegaConf.load(file)
    levels = {name: found[name] for name in ("agent", "slow", "fast") if name in found}
    return {
        f"{level}.{key}": value for level, node in levels.items() for key, value in node.items()
    }


def name_by_choices(parts: Mapping[str, Any]) -> str | None:
    """Return a name for a planner or executor that a YAML file of the user's own describes.

    Returns:
        the names of the two files, or None where both levels are named by their classes.
    """
    if not HydraConfig.initialized() or set(parts) != {"slow", "fast"}:
        return None
    found = {"slow": parts["slow"].name, "fast": parts["fast"].label}
    choices = HydraConfig.get().runtime.choices
    own = {
        level: choices[level]
        for level in found
        if not (config_folder() / level / f"{choices.get(level)}.yaml").is_file()
        and f"{level}._target_" not in overrides()
    }
    return "+".join((found | own).values()) if own else None


def settings_suffix() -> str:
    """Return what tells apart two agents of the same classes, for the end of a name.

    Settings of agent and levels that the command line gives, where it exchanges parts also those
    of the experiment; in a sweep those that differ between its jobs, and world and seed. Many are
    replaced by their digest.
    """
    given = (_of_experiment() if parts_exchanged() else {}) | overrides(telling_apart=True)
    found = {
        key.removeprefix("slow.").removeprefix("agent."): value
        for key, value in given.items()
        if key.startswith(("agent.", "slow.", "fast.")) and not key.endswith(("_target_", "device"))
    }
    return _shown(found) + _swept(("world", "seed")).replace("/", "-")


def evaluation_suffix(named: Sequence[str] = ()) -> str:
    """Return what of world and evaluation differs between a sweep's jobs, for the end of a name.

    Args:
        named: keys that the name has already.
    """
    if not HydraConfig.initialized() or HydraConfig.get().mode != RunMode.MULTIRUN:
        return ""
    return _shown(
        {
            key.removeprefix("evaluation."): value
            for key, value in overrides(telling_apart=True).items()
            if (key in _EVALUATED or key.startswith(("world.", "evaluation.")))
            and key not in ("evaluation.every_opportunities", *named)
        }
    )


def _shown(settings: Mapping[str, str]) -> str:
    """Return settings for the end of a name; many or long ones are replaced by their digest."""
    parts = [f"{key}={value}" for key, value in settings.items()]
    if len(parts) > _MOST_SHOWN or sum(map(len, parts)) > _LONGEST:
        digest = hashlib.sha256(",".join(sorted(parts)).encode()).hexdigest()[:6]
        parts = [f"{len(parts)}_settings_{digest}"]
    return "".join(f",{part}" for part in parts).replace("/", "-")


def _swept(keys: Sequence[str]) -> str:
    """Return the values of these keys in a job of a sweep, for the end of a name."""
    if not HydraConfig.initialized() or HydraConfig.get().mode != RunMode.MULTIRUN:
        return ""
    given = overrides(telling_apart=True)
    return "".join(f",{key}={given[key]}" for key in keys if key in given)
