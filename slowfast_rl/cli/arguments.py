"""Read the command line as hydra does, to look at it before hydra acts on it."""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hydra.core.override_parser.overrides_parser import OverridesParser

from slowfast_rl.members.loading import config_folder

_TAKES_VALUE = (
    ("--cfg", "-c"), ("--package", "-p"), ("--config-path", "-cp"), ("--config-name", "-cn"),
    ("--config-dir", "-cd"), ("--experimental-rerun",),
)  # fmt: skip
_FLAGS = (
    ("--help", "-h"),
    ("--hydra-help",),
    ("--resolve",),
    ("--run", "-r"),
    ("--multirun", "-m"),
)


class Arguments(NamedTuple):
    """A command line."""

    overrides: list[str]
    config_dir: Path | None
    help: bool
    multirun: bool
    runs: bool  # rather than shows something of hydra's

    def one_by_one(self) -> Iterator[list[str]]:
        """Yield overrides without sweeps: the first value of each sweep, then every other in turn.

        Raises:
            OverrideParseException: an override cannot be read.
        """
        if not self.multirun:
            yield self.overrides
            return
        parsed = OverridesParser.create().parse_overrides(self.overrides)
        choices = [
            [f"{o.get_key_element()}={value}" for value in o.sweep_string_iterator()]
            if o.is_discrete_sweep()
            else [text]
            for o, text in zip(parsed, self.overrides, strict=True)
        ]
        first = [values[0] for values in choices]
        yield first
        for i, values in enumerate(choices):
            for value in values[1:]:
                yield [*first[:i], value, *first[i + 1 :]]


def read_arguments() -> Arguments:
    """Read ``sys.argv``, and put it as hydra likes it.

    Flags go first. As a group's option, null is a name like a world's, so it is quoted.
    """
    parser = argparse.ArgumentParser(add_help=False)
    for names in _FLAGS:
        parser.add_argument(*names, action="store_true")
    for names in _TAKES_VALUE:
        parser.add_argument(*names)
    parser.add_argument("--info", "-i", nargs="?", const="all")
    parser.add_argument("--shell-completion", "-sc", action="store_true")
    parser.add_argument("overrides", nargs="*")
    groups = {path.name for path in config_folder().iterdir() if path.is_dir()}
    given = [
        re.sub(r"(?<=[=,])null(?=,|$)", "'null'", a) if a.split("=")[0] in groups else a
        for a in sys.argv[1:]
    ]
    found, unknown = parser.parse_known_intermixed_args(given)
    sys.argv[1:] = [a for a in given if a not in found.overrides] + found.overrides
    shows = found.hydra_help or found.cfg or found.info or found.shell_completion or unknown
    return Arguments(
        overrides=found.overrides,
        config_dir=None if found.config_dir is None else Path(found.config_dir),
        help=found.help,
        multirun=found.multirun,
        runs=not (shows or found.config_name or found.config_path or found.experimental_rerun),
    )
