"""What all commands share: find the configs, check early, report errors in one line."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, Protocol

import hydra
import torch
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException, HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from slowfast_rl.cli.arguments import Arguments, read_arguments
from slowfast_rl.cli.explain import explain
from slowfast_rl.cli.guide import guide
from slowfast_rl.cli.schema import register_settings
from slowfast_rl.members.loading import config_folder
from slowfast_rl.policies.component import search_modules_in
from slowfast_rl.store.files import write_text_atomically

CONFIG_FILE = "config.yaml"  # a folder that has one is a run


class Command(Protocol):
    """A command with its settings; making it checks them and writes nothing."""

    def run(self, folder: Path) -> None:
        """Do the work and write everything to the run's folder."""
        ...


Maker = Callable[[dict[str, Any]], Command]


def run(name: str, make: Maker, text: str) -> None:
    """Run a command: compose its settings from the command line, check them, do the work.

    Args:
        name: of its YAML file.
        make: makes the command from its settings, raising ValueError for wrong ones.
        text: what it does, for ``--help``.
    """
    try:
        register_settings()
        arguments = read_arguments()
        search_modules_in([Path.cwd(), *([arguments.config_dir] if arguments.config_dir else [])])
        if arguments.help:
            print(guide(name, text, config_folder()))
            return
        if arguments.runs:
            _check(name, make, arguments)
        task = hydra.main(version_base="1.3", config_path=str(config_folder()), config_name=name)
        task(lambda config: _run_in_folder(config, make))()
    except KeyboardInterrupt:
        fail("interrupted", 130)


def fail(message: str, code: int = 2) -> NoReturn:
    """Print one line and leave with an exit code."""
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)


def settings_of(config: DictConfig) -> dict[str, Any]:
    """Return a composed configuration as plain data, without hydra's part.

    Where the command line gives a node another ``_target_``, the settings of the class that the
    YAML file names do not apply: the node keeps what the command line says of it.
    """
    tree: Any = OmegaConf.to_container(config, resolve=False)
    tree.pop("hydra", None)
    plain: Any = OmegaConf.to_container(OmegaConf.create(tree), resolve=True)
    overrides = [o.lstrip("+").partition("=")[0] for o in HydraConfig.get().overrides.task]
    for key in overrides:
        where, _, name = key.rpartition(".")
        if name != "_target_":
            continue
        *above, last = where.split(".")
        parent = plain
        for part in above:
            parent = parent[part]
        given = {
            k.removeprefix(f"{where}.").split(".")[0] for k in overrides if k.startswith(where)
        }
        parent[last] = {k: v for k, v in parent[last].items() if k in given}
    return dict(plain)


def _run_in_folder(config: DictConfig, make: Maker) -> None:
    """Run one job; if it wrote nothing, leave no folder that looks like a run."""
    folder = Path(HydraConfig.get().runtime.output_dir)
    try:
        if (folder / CONFIG_FILE).exists():
            raise ValueError(f"{folder} holds a run already; allowed is another hydra.run.dir")
        with _removed_if_nothing_came(folder):
            torch.set_num_threads(config.num_threads)
            command = make(settings_of(config))
            write_text_atomically(folder / CONFIG_FILE, OmegaConf.to_yaml(config, resolve=True))
            command.run(folder)
    except (ValueError, OSError) as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        if HydraConfig.get().mode == RunMode.MULTIRUN:  # the sweep's other jobs go on
            raise CompactHydraException(f"error: {error}") from error
        fail(str(error))


@contextmanager
def _removed_if_nothing_came(folder: Path) -> Iterator[None]:
    """Remove the run's folder after a failure that left no more than the configuration."""
    try:
        yield
    except BaseException:
        if folder.is_dir() and {path.name for path in folder.iterdir()} <= {CONFIG_FILE}:
            (folder / CONFIG_FILE).unlink(missing_ok=True)
            folder.rmdir()
        raise


def _check(name: str, make: Maker, arguments: Arguments) -> None:
    """Compose and check before hydra does, for errors in one line and without a run's folder."""
    folder = arguments.config_dir
    if folder is not None and not folder.is_dir():
        fail(f"--config-dir is {folder}; allowed is a folder that exists")
    search = [] if folder is None else [f"hydra.searchpath=['file://{folder.absolute()}']"]
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        try:
            for overrides in arguments.one_by_one():
                config = compose(name, [*overrides, *search], return_hydra_config=True)
                HydraConfig.instance().set_config(config)
                directories = config.hydra.sweep if arguments.multirun else config.hydra.run
                check_writable(Path(directories.dir), "run directory")
                make(settings_of(config))
        except (HydraException, OmegaConfBaseException) as error:
            plain = compose(name, search, return_hydra_config=True)
            fail(explain(error, arguments.overrides, plain))
        except (ValueError, OSError) as error:
            if os.environ.get("HYDRA_FULL_ERROR") == "1":
                raise
            fail(str(error))


def check_writable(folder: Path, what: str) -> None:
    """Raise ValueError where a folder cannot be made or written."""
    existing = folder.absolute()
    while not existing.exists():
        existing = existing.parent
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise ValueError(
            f"{what} {folder} cannot be written; {existing} is not a writable directory"
        )
