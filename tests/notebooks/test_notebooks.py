"""Every notebook runs from top to bottom, only calls the library, and stores no output."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.waiting import HANG_SECONDS

FOLDER = Path(__file__).parents[2] / "notebooks"
NAMES = (
    "quickstart", "world", "plans_and_pacing", "slowfast_or_one_policy", "bring_your_own",
    "beliefs", "from_logs",
)  # fmt: skip
COMPILES = "Compiling the simulation, once "
PLOTTING = re.compile(r"matplotlib|pyplot|\bplt\.|\bax\.|fig,")


def read(name):
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def code(name):
    """The code cells, without those that write a file for the reader."""
    sources = [cell.source for cell in read(name).cells if cell.cell_type == "code"]
    return [source for source in sources if not source.startswith("%%writefile")]


def test_every_notebook_is_tested():
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == sorted(NAMES)


@pytest.mark.parametrize(
    "name",
    [
        name if name == "quickstart" else pytest.param(name, marks=pytest.mark.long)
        for name in NAMES
    ],
)
def test_a_notebook_runs_shows_figures_and_prints_no_warning(name):
    notebook = read(name)
    client = NotebookClient(
        notebook, timeout=HANG_SECONDS, startup_timeout=HANG_SECONDS, kernel_name="python3"
    )
    client.execute(cwd=FOLDER)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    errors = "".join(output.text for output in outputs if output.get("name") == "stderr")
    # The first process after a change of a kernel says that it compiles; any other line is wrong.
    assert not [line for line in errors.splitlines() if not line.startswith(COMPILES)]
    assert any("image/png" in output.get("data", {}) for output in outputs)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_defines_nothing_and_plots_by_the_library(name):
    for source in code(name):
        assert not re.search(r"^\s*(def|class) ", source, re.MULTILINE), source
        assert not PLOTTING.search(source), source


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_stores_no_output(name):
    for cell in read(name).cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
