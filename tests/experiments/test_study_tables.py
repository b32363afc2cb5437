"""The committed tables of the studies are what their results say; a quick run changes nothing."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from slowfast_rl.members.loading import load_world, world_hash

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
STUDIES = (
    "world_checks",
    "calibration",
    "ablations",
    "horizon",
    "leaderboard",
    "robustness",
    "information",
    "recipes",
    "independent_evolution",
    "stale_plans",
)


def report_of(study: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import a study's report.py under a name of its own; it may import its neighbours."""
    for name, module in list(sys.modules.items()):  # another study's neighbour of the same name
        if EXPERIMENTS in Path(getattr(module, "__file__", None) or "/").parents:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(EXPERIMENTS / study)
    spec = importlib.util.spec_from_file_location(
        f"{study}_report", EXPERIMENTS / study / "report.py"
    )
    assert spec is not None
    assert spec.loader is not None
    report = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(report)
    return report


@pytest.mark.parametrize("study", STUDIES)
def test_readme_tables_are_generated_from_the_results(
    study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = EXPERIMENTS / study
    names = ("results", "sweep") if study == "calibration" else ("results",)
    contents = [json.loads((folder / f"{name}.json").read_text()) for name in names]
    text = report_of(study, monkeypatch).tables(*contents)
    block = f"<!-- {study} -->\n{text}\n<!-- /{study} -->"
    assert block in (folder / "README.md").read_text()


def test_the_readmes_headline_is_the_leaderboards(monkeypatch: pytest.MonkeyPatch) -> None:
    results = json.loads((EXPERIMENTS / "leaderboard" / "results.json").read_text())
    text = report_of("leaderboard", monkeypatch).headline(results)
    block = f"<!-- leaderboard -->\n{text}\n<!-- /leaderboard -->"
    assert block in (EXPERIMENTS.parent / "README.md").read_text()


def test_the_calibrated_world_that_was_measured_is_the_one_that_comes_with_the_library() -> None:
    today = world_hash(load_world("calibrated"))
    results = {
        s: json.loads((EXPERIMENTS / s / "results.json").read_text())
        for s in ("calibration", "world_checks")
    }
    assert results["calibration"]["world_hash"] == today
    assert results["world_checks"]["worlds"]["calibrated"]["world_hash"] == today


def test_every_target_of_the_calibrated_world_is_met() -> None:
    text = (EXPERIMENTS / "calibration" / "README.md").read_text()
    rows = [line for line in text.splitlines() if "| yes |" in line or "| **no** |" in line]
    assert len(rows) == 9
    assert all("| yes |" in row for row in rows)


@pytest.mark.long
@pytest.mark.parametrize(
    ("study", "shows"),
    [
        ("world_checks", "| property | `pronounced` |"),
        ("calibration", "| quantity | target |"),
        ("ablations", "| changed | to |"),
        ("horizon", "| horizon, weeks |"),
        ("leaderboard", "no table was written"),
        ("robustness", "| limit world |"),
        ("information", "| what the planner knows |"),
        ("recipes", "| recipe | gap closed"),
        ("independent_evolution", "| what is exchanged |"),
        ("stale_plans", "weeks without a planner |"),
    ],
)
def test_quick_run_prints_tables_and_writes_nothing(study: str, shows: str) -> None:
    folder = EXPERIMENTS / study
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    command = [sys.executable, "run.py", "--quick"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert shows in done.stdout
    after = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert after == before
