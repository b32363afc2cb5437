"""The notebook runs from top to bottom and only calls the library."""

import re
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from tests.waiting import HANG_SECONDS

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "quickstart.ipynb"


def _outputs(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def test_quickstart_runs_and_prints_nothing_to_stderr() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = NotebookClient(
        notebook, timeout=HANG_SECONDS, startup_timeout=HANG_SECONDS, kernel_name="python3"
    )
    client.execute(cwd=NOTEBOOK.parent)
    assert not [o.text for o in _outputs(notebook) if o.get("name") == "stderr"]
    assert sum("image/png" in o.get("data", {}) for o in _outputs(notebook)) == 2


def test_quickstart_defines_nothing() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert not [source for source in code if re.search(r"^\s*(def|class) ", source, re.MULTILINE)]


def test_quickstart_is_committed_as_it_ran() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    assert not [o for o in _outputs(notebook) if o.output_type == "error"]
