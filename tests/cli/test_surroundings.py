"""Terminals, encodings and folders that the library's authors do not have."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.calls import TINY, TINY_COMPARISON
from tests.waiting import HANG_SECONDS

ODD = "it's a folder, x=1 & ünï – 漢字"
NAME = "Ω – 漢"  # an agent's name that Latin-1 does not have
COMPARE = ("agents=[never,always]", *TINY_COMPARISON)


def run(command, *arguments, cwd, before="", **environment):
    """Run a command in another process, after shell code that changes its streams."""
    words = [sys.executable, "-m", f"slowfast_rl.cli.{command}", *arguments]
    root = str(Path(__file__).parents[2])
    return subprocess.run(
        ["bash", "-c", f'exec "$@" {before}', "-", *words],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": root} | environment,
        capture_output=True,
        timeout=HANG_SECONDS,
        check=False,
    )


@pytest.fixture
def odd(tmp_path):
    folder = tmp_path / ODD
    folder.mkdir()
    return folder


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_what_a_terminal_cannot_print_does_not_fail_a_training(odd, encoding):
    done = run(
        "train",
        *(word for word in TINY if not word.startswith("name=")),
        f"name='{NAME}'",
        "hydra.run.dir=mine",
        cwd=odd,
        PYTHONIOENCODING=encoding,
    )
    assert done.returncode == 0, done.stderr
    assert b"? ? ?" in done.stdout
    assert NAME in (odd / "mine" / "leaderboard.md").read_text("utf-8")


@pytest.mark.parametrize("before", ["2>&-", ">&-", "2>&- >&-", "<&- 2>&- >&-"])
def test_a_closed_stream_does_not_fail_a_comparison(odd, before):
    done = run("compare", *COMPARE, "hydra.run.dir=mine", cwd=odd, before=before)
    assert done.returncode == 0
    assert (odd / "mine" / "leaderboard.json").is_file()


def test_a_working_directory_that_cannot_be_written_needs_another_run_directory(tmp_path):
    refused = run("compare", *COMPARE, cwd="/proc")
    assert refused.returncode == 2
    assert refused.stderr.count(b"\n") == 1
    assert b"runs" in refused.stderr
    done = run("compare", *COMPARE, f"hydra.run.dir={tmp_path}/mine", cwd="/proc")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "mine" / "leaderboard.json").is_file()


def test_without_a_home_and_with_a_given_cache_a_command_runs(odd):
    code = (
        "import os, pwd, runpy, sys;"
        "os.environ.pop('HOME', None);"
        "pwd.getpwuid = lambda uid: (_ for _ in ()).throw(KeyError(uid));"
        "sys.argv = ['compare', *sys.argv[1:]];"
        "runpy.run_module('slowfast_rl.cli.compare', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *COMPARE, "hydra.run.dir=mine"],
        cwd=odd,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (odd / "mine" / "leaderboard.json").is_file()
