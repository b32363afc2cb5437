"""What a new user meets: help that answers at once, and one compilation that is announced."""

import json
import os
import subprocess
import sys

import pytest

from tests.cli.calls import TINY
from tests.waiting import HANG_SECONDS

NOTICE = "Compiling the simulation, once on this machine"
HEAVY = (
    "torch", "stable_baselines3", "tensorboard", "matplotlib", "pandas", "pyarrow", "redis", "ray",
)  # fmt: skip
HELP = """
import json, sys
from slowfast_rl.cli import {command}
sys.argv = ["slowfast-{command}", "--help"]
{command}.main()
print()
print(json.dumps(sorted(sys.modules)))
"""
SMALL_KERNEL = """
import numpy as np
import slowfast_rl as sf
from slowfast_rl.members.random import Domain, random_words
for _ in range(2):
    random_words(0, 0, np.zeros(1, int), np.zeros(1, int), Domain.EXPLORATION)
"""


def run(cache, *arguments):
    """Run Python with this folder for compiled functions."""
    return subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | {"NUMBA_CACHE_DIR": str(cache)},
        cwd=cache.parent,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=True,
    )


def compiled(cache):
    """The files of compiled functions, with what they hold."""
    return {path: path.read_bytes() for path in cache.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "command", ["train", "compare", "bench", "references", "plan", "serve", "logs", "fit", "ope"]
)
def test_help_imports_nothing_heavy_and_compiles_nothing(command, tmp_path):
    cache = tmp_path / "cache"
    done = run(cache, "-c", HELP.format(command=command))
    text, modules = done.stdout.rsplit("\n\n", 1)
    assert "Settings, as name=value" in text
    assert not set(HEAVY) & set(json.loads(modules))
    assert compiled(cache) == {}
    assert done.stderr == ""


def test_importing_the_package_imports_nothing_heavy_and_registers_the_environments(tmp_path):
    code = (
        "import gymnasium, json, sys, slowfast_rl;"
        "assert gymnasium.spec('slowfast_rl/Pacing-v0').vector_entry_point;"
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = run(tmp_path / "cache", "-c", code)
    assert not set(HEAVY) & set(json.loads(done.stdout))
    assert compiled(tmp_path / "cache") == {}


def test_python_is_told_once_that_functions_compile_and_only_if_they_do(tmp_path):
    cache = tmp_path / "cache"
    assert run(cache, "-c", SMALL_KERNEL).stderr.count(NOTICE) == 1
    before = compiled(cache)
    assert before
    assert run(cache, "-c", SMALL_KERNEL).stderr == ""
    assert compiled(cache) == before


@pytest.mark.long
def test_a_second_training_compiles_nothing_and_says_nothing_of_it(tmp_path):
    cache = tmp_path / "cache"
    train = ("-m", "slowfast_rl.cli.train", *TINY)
    first = run(cache, *train)
    assert first.stderr.count(NOTICE) == 1
    before = compiled(cache)
    assert before
    assert NOTICE not in run(cache, *train).stderr
    assert compiled(cache) == before
