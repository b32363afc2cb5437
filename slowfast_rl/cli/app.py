"""What all commands share: compose with hydra, check early, report errors in one line."""

import argparse
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, Protocol

from hydra import version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from tqdm import tqdm

from slowfast_rl.cli.compose import make_hydra
from slowfast_rl.cli.explain import explain
from slowfast_rl.cli.guide import guide
from slowfast_rl.cli.results import say
from slowfast_rl.cli.resume import (
    COMMAND_FILE,
    changed_settings,
    command_line,
    ended_row,
    how_to_continue,
    locked,
    read_command,
    resumed_folder,
    return_to,
    write_command,
)
from slowfast_rl.cli.run_checkpoints import Terminated, remove_checkpoints
from slowfast_rl.cli.schema import register_settings
from slowfast_rl.cli.sweep import RESULTS, JobError, failed_jobs, note_job, one_by_one, write_table
from slowfast_rl.evaluation.terminal import prepare_streams
from slowfast_rl.members.loading import config_folder
from slowfast_rl.members.threads import set_num_threads
from slowfast_rl.policies.registry import search_modules_in
from slowfast_rl.store.files import write_text_atomically

#: Hydra's list of the keys that tell no jobs of a sweep apart.
SAME_IN_ALL_JOBS = "hydra.job.config.override_dirname.exclude_keys"
CONFIG_FILE = "config.yaml"  # a folder that has one is a run


class Command(Protocol):
    """A command with its settings; its constructor checks them and writes nothing."""

    def run(self, folder: Path) -> Mapping[str, Any] | None:
        """Do the work and write all results to the run's folder.

        Returns:
            The leaderboard row of the agent that the command trained or compared, whose "return"
            a sweeper maximises; None for a command that measures no agent.
        """
        ...


Maker = Callable[[dict[str, Any]], Command]


class _AboveBars(logging.Handler):
    """Prints what the library logs, on a terminal above its progress bars."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record; what cannot be printed, as on a full disk, ends no service."""
        with suppress(OSError, ValueError):
            if sys.stderr.isatty():
                tqdm.write(self.format(record), file=sys.stderr)
            else:
                say(self.format(record))


def run(name: str, make: Maker, text: str, *, resumable: bool = False) -> None:
    """Run a command: compose its settings from the command line, check them, do the work.

    Args:
        name: the name of the command's YAML file.
        make: makes the command from its settings, and raises ValueError for wrong ones.
        text: what the command does, for ``--help``.
        resumable: whether ``resume=<folder>`` lets a run or a sweep that was stopped continue; the
            command finds in its folder where.
    """
    prepare_streams()
    try:
        _run(name, make, text, resumable)
    except Terminated as end:
        fail(f"ended by SIGTERM{end}", 143)
    except KeyboardInterrupt as end:
        fail(f"interrupted{end}", 130)
    except (HydraException, OmegaConfBaseException) as error:
        _fail_with(error, explain(error))
    except (ValueError, OSError, MemoryError) as error:
        _fail_with(error, str(error))
    except ImportError as error:
        if "pip install 'slowfast_rl[" not in str(error):
            raise
        _fail_with(error, str(error))


def fail(message: str, code: int = 2) -> NoReturn:
    """Print one line and leave with an exit code."""
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)


def settings_of(config: DictConfig) -> dict[str, Any]:
    """Return a composed configuration as plain data, without hydra's part.

    Where the command line gives a node another ``_target_``, the settings of the class that the
    YAML file names do not apply: the node keeps only what the command line sets.
    """
    tree: Any = OmegaConf.to_container(config, resolve=False)
    tree.pop("hydra", None)
    plain: Any = OmegaConf.to_container(OmegaConf.create(tree), resolve=True)
    parsed = OverridesParser.create().parse_overrides(list(HydraConfig.get().overrides.task))
    keys = [override.key_or_group for override in parsed]
    for key in keys:
        where, _, name = key.rpartition(".")
        if name != "_target_":
            continue
        *above, last = where.split(".")
        parent = plain
        for part in above:
            parent = parent[part]
        below = f"{where}."
        given = {k.removeprefix(below).split(".")[0] for k in keys if k.startswith(below)}
        parent[last] = {k: v for k, v in parent[last].items() if k in given}
    return dict(plain)


def check_writable(folder: Path, what: str) -> None:
    """Raise ValueError where a folder cannot be made or written."""
    existing = folder.absolute()
    while not existing.exists():
        existing = existing.parent
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise ValueError(
            f"{what} {folder} cannot be written; {existing} is not a writable directory"
        )


def _run(name: str, make: Maker, text: str, resumable: bool) -> None:
    """Run a command; hydra's own parser reads the command line, once."""
    register_settings()
    version.setbase("1.3")
    parser = get_args_parser()
    args, unknown = parser.parse_known_intermixed_args()  # flags may stand between overrides
    if unknown:
        fail(f"unknown flag {unknown[0]!r}; allowed: those that --help and --hydra-help list")
    resumed = resumed_folder(args.overrides) if resumable else None
    if resumed is not None:
        resumed, given = resumed.absolute(), read_command(resumed)
        return_to(given.pop("working_directory"))
        for key, value in given.items():
            setattr(args, key, value)
    name, folder = args.config_name or name, args.config_path or str(config_folder())
    search_modules_in([Path.cwd(), *([Path(args.config_dir)] if args.config_dir else [])])
    command = command_line(args) if resumable else None
    task = partial(_run_job, make=make, command=command, resumed=resumed is not None)
    try:
        hydra = make_hydra(name, folder, args.config_dir)
        if args.help:
            config = hydra.compose_config(name, args.overrides, run_mode=RunMode.RUN)
            print(guide(name, text, config, hydra.config_loader))
        elif args.hydra_help:
            hydra.hydra_help(name, parser, args)
        elif args.cfg:
            hydra.show_cfg(name, args.overrides, args.cfg, args.package, args.resolve)
        elif args.info:
            hydra.show_info(args.info, name, args.overrides)
        elif args.shell_completion:
            hydra.shell_completion(name, args.overrides)
        else:
            _start(hydra, name, make, task, args, resumed)
    finally:
        GlobalHydra.instance().clear()


def _start(
    hydra: Hydra,
    name: str,
    make: Maker,
    task: "partial[float | None]",
    args: argparse.Namespace,
    resumed: Path | None,
) -> None:
    """Check the settings of all jobs, so that a mistake leaves no file; then run them."""
    if args.experimental_rerun:
        raise ValueError("--experimental-rerun reads a pickle; allowed are overrides")
    mode = RunMode.MULTIRUN if args.multirun else hydra.get_mode(name, args.overrides)
    sweep = mode == RunMode.MULTIRUN
    overrides: list[str] = args.overrides
    if resumed is not None:
        where = QuotedString(str(resumed.absolute()), Quote.single).with_quotes()
        overrides = [*overrides, f"hydra.{'sweep' if sweep else 'run'}.dir={where}"]
    for job in one_by_one(overrides, hydra.config_loader) if sweep else [overrides]:
        config = hydra.compose_config(name, job, run_mode=RunMode.RUN)
        HydraConfig.instance().set_config(config)
        directory = Path((config.hydra.sweep if sweep else config.hydra.run).dir)
        check_writable(directory, "run directory")
        make(settings_of(config))
    if sweep and (directory / RESULTS).exists():
        if resumed is None:
            raise ValueError(f"{directory} holds a sweep; allowed is another hydra.sweep.dir")
        if not failed_jobs(directory):
            raise ValueError(f"{directory} has ended; allowed is a sweep whose jobs have not all")
    if not sweep:
        hydra.run(name, task, [*overrides, "hydra.mode=RUN"])
        return
    with locked(directory), _removed_if_nothing_came(directory):
        command = task.keywords["command"]
        if command is not None:
            write_command(directory, command)
        _sweep(hydra, name, task, overrides, directory)


def _sweep(
    hydra: Hydra, name: str, task: Callable[[Any], Any], overrides: list[str], directory: Path
) -> None:
    """Run the jobs of a sweep, and end with a table, also where jobs failed."""
    place = QuotedString(str(directory.absolute()), Quote.single).with_quotes()
    parsed = OverridesParser.create(hydra.config_loader).parse_overrides(overrides)
    same = [o.key_or_group for o in parsed if not o.is_sweep_override()]
    excluded = ",".join(QuotedString(key, Quote.single).with_quotes() for key in same)
    given = [
        *overrides,
        "hydra.mode=MULTIRUN",
        f"hydra.sweep.dir={place}",
        f"{SAME_IN_ALL_JOBS}=[{excluded}]",
    ]
    failed = False
    try:
        hydra.multirun(name, task, given)
    except JobError:
        failed = True
    except BaseException:
        write_table(directory, ended=False)
        raise
    failed |= write_table(directory)
    if failed:
        say(f"Jobs failed{how_to_continue(directory)}")
        sys.exit(1)


def _run_job(
    config: DictConfig, make: Maker, command: Mapping[str, Any] | None, resumed: bool
) -> float | None:
    """Run one job, and return what a sweeper maximises.

    A job that wrote nothing leaves no folder that looks like a run.

    Args:
        config: the job's configuration.
        make: makes the command.
        command: what ``resume=<folder>`` reads in the run's folder; None where nothing can resume.
        resumed: whether the run or sweep continues one that was stopped.
    """
    job = HydraConfig.get()
    sweep, folder = job.mode == RunMode.MULTIRUN, Path(job.runtime.output_dir)
    try:
        logger = logging.getLogger("slowfast_rl")
        logger.handlers, logger.propagate = [_AboveBars()], False
        with locked(folder), _removed_if_nothing_came(folder):
            row = ended_row(folder) if resumed else None
            if row is not None:
                remove_checkpoints(folder)
                if not sweep:
                    raise ValueError(f"{folder} has ended; allowed is a run that was stopped")
                say(f"Job {job.job.num} has ended before, and is not run again")
                _write_settings(folder, config, None, resumed)
            else:
                import torch  # here, because --help does without it

                torch.set_num_threads(config.torch_threads)
                set_num_threads(config.num_threads)
                made = make(settings_of(config))
                _write_settings(folder, config, None if sweep else command, resumed)
                row = made.run(folder)
    except KeyboardInterrupt as end:
        raise type(end)(how_to_continue(Path(job.sweep.dir) if sweep else folder)) from end
    except Exception as error:
        expected = isinstance(error, ValueError | OSError | MemoryError)
        if sweep:
            note_job(None, error)
        if _full_errors() or not (sweep or expected):
            raise
        if not sweep:
            fail(str(error) + (how_to_continue(folder) if isinstance(error, OSError) else ""))
        if not expected:
            traceback.print_exc()
        raise JobError(str(error)) from error
    if sweep:
        note_job(row)
    return None if row is None else float(row["return"])


def _write_settings(
    folder: Path, config: DictConfig, command: Mapping[str, Any] | None, resumed: bool
) -> None:
    """Write the settings of a run to its folder.

    Raises:
        ValueError: the folder holds a run already, which does not continue or had other settings.
    """
    path, text = folder / CONFIG_FILE, OmegaConf.to_yaml(config, resolve=True)
    if not path.exists():
        if command is not None:
            write_command(folder, command)
        write_text_atomically(path, text)
    elif not resumed:
        raise ValueError(f"{folder} holds a run already; allowed is another hydra.run.dir")
    elif changed := changed_settings(path, text):
        few = "; ".join(changed[:4]) + "; …" * (len(changed) > 4)
        raise ValueError(f"the settings of {folder} have changed since it was stopped: {few}")


@contextmanager
def _removed_if_nothing_came(folder: Path) -> Iterator[None]:
    """Remove the run's folder after a failure that left no more than the configuration.

    What was there before stays.
    """
    files = (CONFIG_FILE, COMMAND_FILE)
    before = any((folder / name).exists() for name in files)
    try:
        yield
    except BaseException:
        if (
            not before
            and folder.is_dir()
            and {path.name for path in folder.iterdir()} <= set(files)
        ):
            for name in files:
                (folder / name).unlink(missing_ok=True)
            folder.rmdir()
        raise


def _fail_with(error: Exception, message: str) -> NoReturn:
    """Fail with a message or, if the user asked for it, with the error itself."""
    if _full_errors():
        raise error
    fail(message)


def _full_errors() -> bool:
    return os.environ.get("HYDRA_FULL_ERROR") == "1"
