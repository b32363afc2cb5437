"""The committed tables of experiments/world_checks are what its results say."""

import json
import subprocess
import sys

import pytest

from tests.experiments.studies import STUDIES, study_module

FOLDER = STUDIES / "world_checks"


def test_readme_tables_are_generated_from_the_results() -> None:
    report = study_module("world_checks", "report")
    text = report.tables(json.loads((FOLDER / "results.json").read_text()))
    block = f"<!-- world_checks -->\n{text}\n<!-- /world_checks -->"
    assert block in (FOLDER / "README.md").read_text()


@pytest.mark.long
def test_quick_run_prints_tables_and_writes_nothing() -> None:
    before = {path.name: path.read_bytes() for path in FOLDER.iterdir() if path.is_file()}
    command = [sys.executable, "run.py", "--quick", "--world", "pronounced"]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=True)
    assert "| property | `pronounced` |" in done.stdout
    after = {path.name: path.read_bytes() for path in FOLDER.iterdir() if path.is_file()}
    assert after == before
