"""The committed tables of the studies are what their results say; a quick run changes nothing."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from slowfast_rl.evaluation.studies import Study
from slowfast_rl.members.loading import load_world, world_hash
from tests.experiments.studies import STUDIES, study_module

SHOWS = {  # what a quick run of each study prints
    "world_checks": "| property | `pronounced` |",
    "calibration": "| quantity | target |",
    "ablations": "| changed | to |",
    "horizon": "| horizon, weeks |",
    "leaderboard": "| agent | seed |",
    "robustness": "| limit world |",
    "information": "| what the planner knows |",
    "recipes": "| recipe | gap closed",
    "independent_evolution": "| what is exchanged |",
    "stale_plans": "weeks without a planner |",
    "pacing": "| 5 + 2 | bid price + affinity | active |",
    "coupling": "| arm | seed |",
    "message_cost": "| cost per message | window 1 weeks |",
    "casual_viewers": "| casual less heavy, absolute |",
    "homepage": "| spread | best fixed plan |",
    "turns": "| replanned | 0 |",
    "from_logs": "The fitted world recovers",
    "off_policy": "| doubly robust |",
}
DRAWN = {path.parent.name: path for path in STUDIES.glob("*/*.png")}


@cache
def study(name: str) -> Study:
    found = study_module(name).STUDY
    assert isinstance(found, Study)
    return found


def block(name: str, document: Path) -> str:
    _, _, rest = document.read_text().partition(f"<!-- {name} -->\n")
    return rest.partition(f"\n<!-- /{name} -->")[0]


def test_every_study_is_tested() -> None:
    folders = {path.parent.name for path in STUDIES.glob("*/run.py")}
    assert folders == set(SHOWS) | {"speed"}  # whose tables are those of slowfast-bench


@pytest.mark.parametrize("name", SHOWS)
def test_readme_tables_are_generated_from_the_results(name: str) -> None:
    tables = study(name).tables(study(name).results())
    assert tables == block(name, STUDIES / name / "README.md")


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_is_drawn_from_the_results(name: str, tmp_path: Path) -> None:
    draw = study(name).draw
    assert draw is not None
    draw(study(name).results(), tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000
    assert DRAWN[name].name == f"{study(name).figure or name}.png"
    assert f"]({DRAWN[name].name})" in (STUDIES / name / "README.md").read_text()


def test_the_readmes_headline_is_the_leaderboards() -> None:
    headline = study("leaderboard").headline
    assert headline is not None
    text = headline(study("leaderboard").results())
    assert text == block("leaderboard", STUDIES.parent / "README.md")


def test_the_calibrated_world_that_was_measured_is_the_one_that_comes_with_the_library() -> None:
    today = world_hash(load_world("calibrated"))
    results = {
        s: json.loads((STUDIES / s / "results.json").read_text())
        for s in ("calibration", "world_checks")
    }
    assert results["calibration"]["world_hash"] == today
    assert results["world_checks"]["worlds"]["calibrated"]["world_hash"] == today


def test_every_target_of_the_calibrated_world_is_met() -> None:
    text = (STUDIES / "calibration" / "README.md").read_text()
    rows = [line for line in text.splitlines() if "| yes |" in line or "| **no** |" in line]
    assert len(rows) == 9
    assert all("| yes |" in row for row in rows)


@pytest.mark.long
@pytest.mark.parametrize("name", SHOWS)
def test_quick_run_prints_tables_and_writes_nothing(name: str) -> None:
    folder = STUDIES / name
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    command = [sys.executable, "run.py", "--quick"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert SHOWS[name] in done.stdout
    after = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert after == before
