"""docs/examples: short, listed, and run with tiny sizes where their client is installed."""

import ast
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import pytest
import yaml

import slowfast_rl  # noqa: F401, registers the environments
from tests.waiting import HANG_SECONDS

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "examples"
MOST_LINES = 59
TINY = "--steps 1024 --num-envs 16 --weeks 8"
SIZES = {  # of those that these do not suit
    "optuna_planner.py": "--steps 20000 --num-envs 32 --weeks 8 --trials 2",
    "tianshou_dqn.py": "--steps 256 --num-envs 4 --weeks 8",
}
NEEDS = {  # the modules of clients that are not a dependency of the package
    "minari_d3rlpy.py": ["minari", "h5py", "d3rlpy"],
    "optuna_planner.py": ["optuna"],
    "rl_zoo3_ppo.yml": ["rl_zoo3", "requests"],
    "rllib_ppo.py": ["ray", "tree", "lz4"],
    "sb3_contrib_ppo.py": ["sb3_contrib"],
    "sbx_ppo.py": ["sbx"],
    "tianshou_dqn.py": ["tianshou"],
}
NAMES = sorted(path.name for path in FOLDER.iterdir() if path.suffix in (".py", ".yml"))
SCRIPTS = [name for name in NAMES if name.endswith(".py")]
OUR_WARNING = re.compile(r"^(.*/slowfast_rl/\S+\.py:\d+: \w*Warning.*|.*WARN: .*)$", re.MULTILINE)


def run(folder, name, options, *script):
    """Run Python in a folder, if the client is installed, without a warning of ours."""
    for module in NEEDS.get(name, []):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    env = os.environ | {
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "MINARI_DATASETS_PATH": str(folder / "minari"),
        "RAY_AUTH_MODE": "disabled",
    }
    done = subprocess.run(
        [sys.executable, *script, *options.split()],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not OUR_WARNING.findall(done.stderr)
    return done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_every_example_is_short_listed_and_says_how_to_run_it(name):
    text = (FOLDER / name).read_text()
    assert len(text.splitlines()) <= MOST_LINES
    assert f"| [`{name}`]({name}) |" in (FOLDER / "README.md").read_text()
    if name in SCRIPTS:
        compile(text, name, "exec")
        assert f"python docs/examples/{name}" in ast.get_docstring(ast.parse(text))
    else:
        assert f"docs/examples/{name}" in text.partition("\n\n")[0]


def test_the_zoos_hyperparameters_are_of_an_environment_that_can_be_made():
    hyperparameters = yaml.safe_load((FOLDER / "rl_zoo3_ppo.yml").read_text())
    for env_id, values in hyperparameters.items():
        env = gym.make(env_id, weeks=1)
        env.reset(seed=0)
        assert values["gamma"] == env.unwrapped.vector.world.reward.weekly_discount


@pytest.mark.long
@pytest.mark.parametrize("name", SCRIPTS)
def test_the_script_runs(name, tmp_path):
    run(tmp_path, name, SIZES.get(name, TINY), FOLDER / name)


@pytest.mark.long
def test_the_zoo_trains_and_plays(tmp_path):
    name = "rl_zoo3_ppo.yml"
    common = "--algo ppo --env slowfast_rl/Pacing-v0 --gym-packages slowfast_rl"
    short = "-n 256 -params n_envs:2 n_steps:64 batch_size:64 --eval-episodes 2 --eval-freq 100"
    train = ("-m", "rl_zoo3.train", "--conf-file", FOLDER / name, "--log-folder", "runs")
    run(tmp_path, name, f"{common} {short}", *train)
    play = ("-m", "rl_zoo3.enjoy", "--folder", "runs", "--no-render", "-n", "100")
    assert "reward" in run(tmp_path, name, common, *play)
