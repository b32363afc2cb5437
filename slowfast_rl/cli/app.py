"""What all commands share: where configs are, early checks, and errors in one line."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import hydra
import torch
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from slowfast_rl.cli.schema import check_types, register_signatures
from slowfast_rl.evaluation.protocol import Protocol
from slowfast_rl.members.loading import config_folder, load_world
from slowfast_rl.members.world import World

_SIGNATURES = {("slow", "ppo"): "slowfast_rl.slow.PPOPlanner"}
_NO_CHECK = ("-m", "--multirun", "--help", "-h", "--hydra-help", "--cfg", "-c", "--info", "-i")


def run(config_name: str, job: Callable[[DictConfig], None]) -> None:
    """Run a command: compose its config from the command line, check it, do the job."""
    register_signatures(_SIGNATURES)
    folder = str(config_folder())
    arguments = sys.argv[1:]
    if not any(a.split("=")[0] in _NO_CHECK for a in arguments):
        _check(config_name, folder, arguments)

    def guarded(config: DictConfig) -> None:
        try:
            torch.set_num_threads(config.num_threads)
            job(config)
        except (ValueError, OSError) as error:
            fail(str(error))

    hydra.main(version_base="1.3", config_path=folder, config_name=config_name)(guarded)()


def fail(message: str) -> NoReturn:
    """Print one line and leave with exit code 2."""
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)


def world_of(config: DictConfig) -> World:
    """Return the world that a config names."""
    overrides = OmegaConf.to_container(config.world_overrides, resolve=True)
    name = config.world if config.world_file is None else Path(config.world_file)
    return load_world(name, overrides)  # type: ignore[arg-type]


def protocol_of(config: DictConfig) -> Protocol:
    """Return the evaluation protocol that a config asks for."""
    settings: dict[str, Any] = {
        name: config[name] for name in ("num_members", "weeks", "population_seed", "luck_seed")
    }
    settings["burn_in"] = config.evaluation.burn_in
    check_types(Protocol, settings, "")
    return Protocol(**settings, streams=tuple(config.evaluation.streams))


def _check(config_name: str, folder: str, arguments: list[str]) -> None:
    """Compose once before hydra does, to say what is wrong in one line that names what is allowed."""
    overrides, search = [], []
    for position, argument in enumerate(arguments):
        if argument in ("--config-dir", "-cd"):
            search.append(arguments[position + 1])
        elif argument.startswith("--config-dir="):
            search.append(argument.split("=", 1)[1])
        elif "=" in argument and not argument.startswith("--"):
            overrides.append(argument)
    paths = [f"hydra.searchpath=[{','.join(f'file://{Path(s).absolute()}' for s in search)}]"]
    with initialize_config_dir(folder, version_base="1.3"):
        try:
            config = compose(
                config_name, overrides + (paths if search else []), return_hydra_config=True
            )
        except (HydraException, OmegaConfBaseException) as error:
            fail(_explain(compose(config_name), overrides, str(error)))
        _check_run_directory(Path(config.hydra.run.dir))
    try:
        check_types(
            _settings_of_every_command, {k: v for k, v in config.items() if k != "hydra"}, ""
        )  # type: ignore[misc]
    except ValueError as error:
        fail(str(error))


def _settings_of_every_command(seed: int, num_threads: int, device: str) -> None:
    """Give the types of settings that no constructor takes."""


def _explain(config: DictConfig, overrides: list[str], message: str) -> str:
    """Return what is wrong with the first override that names no setting, or hydra's own words."""
    for override in overrides:
        key = override.split("=", 1)[0].lstrip("+~")
        level: Any = config
        for part in key.split("."):
            if not isinstance(level, DictConfig) or part in level:
                level = level[part] if isinstance(level, DictConfig) else None
                continue
            if not override.startswith("+"):
                return f"unknown setting {key!r}; allowed: {', '.join(map(str, level))}"
            break
    return message.split("\nSet the environment")[0]


def _check_run_directory(folder: Path) -> None:
    existing = folder.absolute()
    while not existing.exists():
        existing = existing.parent
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        fail(f"run directory {folder} cannot be written; {existing} is not a writable directory")
