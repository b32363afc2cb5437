"""What commands print and write at their end."""

import importlib
import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from slowfast_rl.evaluation.curves import BaselineLines, write_curves
from slowfast_rl.evaluation.leaderboard import Leaderboard
from slowfast_rl.evaluation.tables import markdown, terminal
from slowfast_rl.store.files import write_text_atomically


def say(text: str) -> None:
    """Print progress to stderr; results go to stdout."""
    print(text, file=sys.stderr, flush=True)


def log_directory(folder: Path) -> Path:
    """Return TensorBoard's log directory of a run; the jobs of a sweep share one."""
    job = HydraConfig.get() if HydraConfig.initialized() else None
    if job is not None and job.mode == RunMode.MULTIRUN:
        folder = Path(job.sweep.dir)
    return folder / "tensorboard"


def new_run(directory: Path, name: str, *, alone: bool = False) -> str:
    """Make the folder of an agent's TensorBoard run, and return its name; a taken one gets "#2".

    Args:
        directory: the log directory.
        name: of the agent.
        alone: whether nobody else writes to the log directory, so that no name is taken.
    """
    name, number = name.replace("/", "-"), 1
    while True:
        run = name if number == 1 else f"{name} #{number}"
        try:
            (directory / run).mkdir(parents=True, exist_ok=alone)
        except FileExistsError:
            number += 1
        else:
            return run


def write_leaderboard(
    board: Leaderboard,
    folder: Path,
    runs: Mapping[str, str],
    directory: Path,
    *,
    lines: BaselineLines | None = None,
    texts: Mapping[str, str] | None = None,
    report: bool = True,
    command: str | None = None,
) -> None:
    """Write Markdown, curves, report and, last, ``leaderboard.json``; print the table.

    A figure that cannot be drawn is left out with a warning. ``leaderboard.json`` is last, because
    a run that has it has ended.

    Args:
        board: the leaderboard.
        folder: of the run.
        runs: names of the agents' runs in TensorBoard, by the agents' names.
        directory: TensorBoard's log directory.
        lines: of baselines, beside an agent's evaluations in training.
        texts: Markdown by title, for TensorBoard.
        report: whether to write ``report.html``, and figures.
        command: the command line, for the report; None for that of this process.
    """
    write_text_atomically(folder / "leaderboard.md", markdown(board))
    drawing = _report_module() if report else None
    figures = None if drawing is None else drawing.agent_figures
    write_curves(board, directory, runs, lines=lines, texts=texts, figures=figures)
    page = None
    if drawing is not None:
        said = command or shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
        page = drawing.write_report(board, folder, said)
    write_text_atomically(folder / "leaderboard.json", json.dumps(board.to_json(), indent=1))
    print(terminal(board))
    print(f"All results  {folder}")
    if page is not None:
        print(f"Report       {page}")
    print(f"Curves       tensorboard --logdir {directory}")


def _report_module() -> ModuleType | None:
    """Return the module that draws; where a package is missing, say which extra has it."""
    try:
        return importlib.import_module("slowfast_rl.evaluation.report")
    except ImportError as error:
        say(f"report.html and figures are left out: {error}")
        return None
