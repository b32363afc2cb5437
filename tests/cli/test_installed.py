import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import slowfast_rl
from tests.cli.calls import TINY_COMPARISON
from tests.waiting import HANG_SECONDS

CHECKOUT = Path(__file__).parents[2]


def run(folder, *arguments, path=None):
    environment = os.environ | ({} if path is None else {"PYTHONPATH": str(path)})
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )


def test_a_command_runs_as_a_module_from_any_directory(tmp_path):
    done = run(tmp_path, "slowfast_rl.cli.compare", "agents=[never,always]", *TINY_COMPARISON)
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("runs/compare/*/leaderboard.json"))) == 1
    assert "always" in done.stdout


@pytest.mark.long
def test_a_wheels_layout_brings_its_own_configs_and_references(tmp_path):
    site = tmp_path / "site"
    layout = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    wheel = layout["tool"]["hatch"]["build"]["targets"]["wheel"]
    for folder in wheel["only-include"]:
        place = site / wheel.get("sources", {}).get(folder, folder)
        shutil.copytree(CHECKOUT / folder, place, dirs_exist_ok=True)
    code = (
        "import slowfast_rl, slowfast_rl.members.loading as loading;"
        "from slowfast_rl.evaluation.references import REFERENCES_FOLDER;"
        "print(slowfast_rl.__file__, loading.config_folder(), *REFERENCES_FOLDER.glob('*.json'))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=True,
    )
    package, configs, *references = found.stdout.split()
    assert package == str(site / "slowfast_rl" / "__init__.py")
    assert configs == str(site / "slowfast_rl" / "configs")
    assert len(references) >= 2
    shown = run(tmp_path, "slowfast_rl.cli.train", "--cfg", "job", path=site)
    assert shown.returncode == 0, shown.stderr
    assert "learning_rate: 0.001" in shown.stdout
    assert "safe_plan" in shown.stdout


@pytest.mark.parametrize("command", ["train", "compare", "bench"])
def test_every_script_of_the_package_has_a_module_with_a_main(command):
    scripts = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts[f"slowfast-{command}"] == f"slowfast_rl.cli.{command}:main"
    assert (Path(slowfast_rl.__file__).parent / "cli" / f"{command}.py").exists()
