"""The committed tables of experiments/pacing are what its results say."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "experiments" / "pacing"


def test_readme_tables_are_generated_from_the_results() -> None:
    spec = importlib.util.spec_from_file_location("pacing_report", FOLDER / "report.py")
    assert spec is not None
    assert spec.loader is not None
    report = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(report)
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
