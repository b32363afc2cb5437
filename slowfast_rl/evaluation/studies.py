"""A study measures what is missing, then writes what is there.

A study is a folder of ``experiments/``: ``README.md`` (question, command, tables, answer, what
would refute it), ``run.py``, ``results.json`` and perhaps a figure. A ``run.py`` is data, two or
three functions, and the study that they make up::

    def measure(options): ...  # returns the results; intervals and arrays may be among them
    def tables(results): ...  # returns the README's generated block
    def draw(results, path): ...  # writes the figure, see slowfast_rl.evaluation.figures

    STUDY = Study(__file__, measure, tables, draw, flags={"members": Flag(2048, quick=64)})
    if __name__ == "__main__":
        STUDY.run()

Every study understands ``--quick`` (few members, little training; only prints) and ``--report``
(measures nothing; writes the figure and the tables from ``results.json``). One that takes long
divides its work into jobs, see :func:`run_missing`: it may then be stopped, shared between
processes, and run again in part.
"""

import io
import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from slowfast_rl.agents import SlowFastAgent
from slowfast_rl.evaluation.formatting import as_json
from slowfast_rl.evaluation.terminal import prepare_streams
from slowfast_rl.fast import AffinityRanker, BidPricePacer, PacedExecutor
from slowfast_rl.slow import BasePlanner, RolloutPlanner
from slowfast_rl.store.files import write_block, write_bytes_atomically, write_text_atomically

Options = Namespace  # of a study's command, see Study.measure
Row = dict[str, Any]
Results = dict[str, Any]
Jobs = Mapping[str, Callable[[], Any]]


@dataclass(frozen=True)
class Flag:
    """A command-line flag of a study.

    Attributes:
        default: a number, a word, or a list of them, which then takes several.
        quick: the value in a quick run, or the number of a list's first values that a quick run
            keeps; None for no difference.
        choices: what is allowed; None for anything.
        selects: whether the flag only selects what is measured again; the command that the results
            name leaves such a flag out.
        help: shown by ``--help``.
    """

    default: Any
    quick: int | None = None
    choices: Collection[str] | None = None
    selects: bool = False
    help: str = ""

    def add_to(self, parser: ArgumentParser, name: str) -> None:
        """Add the flag to a parser."""
        first, nargs = self.default, None
        if isinstance(self.default, list):
            first, nargs = (self.default[0], "+") if self.default else ("", "*")
        parser.add_argument(
            f"--{name}", type=type(first), nargs=nargs, default=self.default,
            choices=self.choices, help=self.help,
        )  # fmt: skip

    def quick_value(self, value: Any) -> Any:
        """Return what a quick run makes of a value."""
        if self.quick is None:
            return value
        return value[: self.quick] if isinstance(value, list) else self.quick


@dataclass(frozen=True)
class Study:
    """A question's folder: how its numbers are measured, and what is written of them.

    Attributes:
        script: path of its ``run.py``; the module's docstring begins with the question.
        measure: returns the results. It is given the flags' values, the sizes, and

            * ``quick``: whether few members and little training are wanted,
            * ``kept``: the folder of what its jobs measured,
            * ``before``: the committed results, empty in a quick run,
            * ``writes``: whether the results will be written; it may be set to False.
        tables: returns the Markdown of the README's block, named as the folder.
        draw: writes the figure of some results; None for a study without a figure.
        flags: by name without dashes.
        sizes: by name, the value in a full and in a quick run; no flag sets them.
        figure: name of the figure's file, without the ending; "" for the folder's name.
        headline: returns the block of the same name in the repository's own README.
    """

    script: str
    measure: Callable[[Options], Results]
    tables: Callable[[Results], str]
    draw: Callable[[Results, Path], None] | None = None
    flags: Mapping[str, Flag] = field(default_factory=dict)
    sizes: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    figure: str = ""
    headline: Callable[[Results], str] | None = None

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return Path(self.script).resolve().parent

    def run(self, arguments: Sequence[str] | None = None) -> None:
        """Run the command: measure, print the tables, and write if this is the full run.

        Args:
            arguments: of the command line; None for the process's own.
        """
        prepare_streams()
        torch.set_num_threads(1)  # the nets are small; and sums then have one order
        options = self._options(arguments)
        with TemporaryDirectory() as scratch:
            kept = self.folder.parents[1] / "runs" / self.folder.name
            options.kept = Path(scratch) if options.quick else kept
            options.before = {} if options.quick else self.results()
            options.writes = not options.quick
            if options.report:
                results = self.results()
            else:
                measured = self.measure(options)
                results = as_json({"command": self._command(options)} | measured)
        sys.stdout.write(f"{self.tables(results)}\n")
        if options.writes:
            if not options.report:
                write_text_atomically(self.folder / "results.json", json.dumps(results, indent=1))
            self.write(results)

    def results(self) -> Results:
        """Return the committed results; none of a study that was never run in full."""
        path = self.folder / "results.json"
        return dict(json.loads(path.read_text("utf-8"))) if path.is_file() else {}

    def write(self, results: Results) -> None:
        """Write the figure and the generated blocks of the documents."""
        name = self.folder.name
        if self.draw is not None:
            self.draw(results, self.folder / f"{self.figure or name}.png")
        write_block(self.folder / "README.md", name, self.tables(results))
        if self.headline is not None:
            write_block(self.folder.parents[1] / "README.md", name, self.headline(results))

    def _options(self, arguments: Sequence[str] | None) -> Options:
        question = getattr(sys.modules.get(self.measure.__module__), "__doc__", None) or ""
        parser = ArgumentParser(description=question.partition("\n")[0])
        for name, flag in self.flags.items():
            flag.add_to(parser, name)
        only = parser.add_mutually_exclusive_group()
        only.add_argument("--quick", action="store_true", help="few members; writes nothing")
        only.add_argument("--report", action="store_true", help="measure nothing, only write")
        options = parser.parse_args(arguments)
        for name, flag in self.flags.items() if options.quick else ():
            setattr(options, name, flag.quick_value(getattr(options, name)))
        for name, (full, quick) in self.sizes.items():
            setattr(options, name, quick if options.quick else full)
        return options

    def _command(self, options: Options) -> str:
        words = [f"python experiments/{self.folder.name}/run.py"]
        for name, flag in self.flags.items():
            value = getattr(options, name)
            values = value if isinstance(value, list) else [value]
            if values and not flag.selects:
                words += [f"--{name}", *map(str, values)]
        return " ".join(words)


def run_missing(jobs: Jobs, kept: Path, suffix: str = ".json") -> None:
    """Run the jobs whose results are not kept yet, with a progress bar.

    Args:
        jobs: what to measure, by the name of its file.
        kept: folder of the results, one file for each job, written whole or not at all.
        suffix: ".json" for jobs that return rows, ".npz" for jobs that return arrays by name.
    """
    content = {".json": _rows_content, ".npz": _arrays_content}[suffix]
    with tqdm(jobs.items(), unit="job") as bar:
        for name, job in bar:
            bar.set_postfix_str(name)
            path = kept / f"{name}{suffix}"
            if not path.is_file():
                write_bytes_atomically(path, content(job()))


def kept_rows(kept: Path, pattern: str = "*") -> list[Row]:
    """Return the rows of all jobs whose names match a pattern."""
    paths = sorted(kept.glob(f"{pattern}.json"))
    return [row for path in paths for row in json.loads(path.read_text("utf-8"))]


def merge_rows(
    before: Sequence[Row], measured: Sequence[Row], key: Callable[[Row], tuple[Any, ...]]
) -> list[Row]:
    """Return all rows in the order of their keys; a row that was measured replaces its like.

    Args:
        before: rows of earlier runs; what is not measured again stays.
        measured: rows of this run.
        key: what names a row and gives its place.
    """
    by_key = {key(row): row for row in (*before, *measured)}
    return [by_key[k] for k in sorted(by_key)]


def measured_rows(options: Options, jobs: Jobs, key: Callable[[Row], tuple[Any, ...]]) -> list[Row]:
    """Run the jobs that are missing; return all rows that are kept, or committed as "rows".

    Args:
        options: of the study's command.
        jobs: each returns rows.
        key: as in :func:`merge_rows`.
    """
    run_missing(jobs, options.kept)
    return merge_rows(options.before.get("rows", []), kept_rows(options.kept), key)


def rollout_planner(quick: bool, **settings: Any) -> RolloutPlanner:
    """Return an untrained rollout planner; in a quick run it learns from few states."""
    return RolloutPlanner(**({"states": 200} if quick else {}) | settings)


def default_agent(planner: BasePlanner, plans_for: str = "default") -> SlowFastAgent:
    """Return an untrained agent with a planner and the executor of the default experiment."""
    return SlowFastAgent(
        planner, PacedExecutor(BidPricePacer(), AffinityRanker()), plans_for=plans_for
    )


def _rows_content(rows: Any) -> bytes:
    return json.dumps(as_json(rows), indent=1).encode()


def _arrays_content(arrays: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()
