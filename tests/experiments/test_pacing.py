"""The committed tables of experiments/pacing are what its results say."""

import json
import subprocess
import sys

import pytest

from tests.experiments.studies import STUDIES, study_module

FOLDER = STUDIES / "pacing"


def test_readme_tables_are_generated_from_the_results() -> None:
    report = study_module("pacing", "report")
    text = report.tables(json.loads((FOLDER / "results.json").read_text()))
    assert f"<!-- pacing -->\n{text}\n<!-- /pacing -->" in (FOLDER / "README.md").read_text()


@pytest.mark.long
def test_quick_run_prints_tables_and_writes_nothing() -> None:
    before = {path.name: path.read_bytes() for path in FOLDER.iterdir() if path.is_file()}
    command = [sys.executable, "run.py", "--quick"]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=True)
    assert "| 3 + 1 | affinity | bid price |" in done.stdout
    assert "| 5 + 2 | bid price + affinity | active |" in done.stdout
    after = {path.name: path.read_bytes() for path in FOLDER.iterdir() if path.is_file()}
    assert after == before
