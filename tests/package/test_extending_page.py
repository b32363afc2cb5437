"""docs/extending.md, followed literally: its files in an empty folder, then its commands."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"(?:#|<!--) file: (\S+)(?: -->)?\n")
MOST_LINES = 40  # of one file


def sections() -> dict[str, list[tuple[str, str]]]:
    """The page's sections that have code, each with its blocks as (language, text)."""
    parts = re.split(r"^## (.+)\n", PAGE.read_text(), flags=re.MULTILINE)
    found = {name: BLOCK.findall(text) for name, text in zip(parts[1::2], parts[2::2], strict=True)}
    return {name: blocks for name, blocks in found.items() if blocks}


SECTIONS = sections()


def test_the_page_shows_every_extension_point():
    for name in (
        "planner", "ranker", "pacer", "executor", "single-policy agent", "store", "world", "study",
    ):  # fmt: skip
        assert any(name in section for section in SECTIONS), name


@pytest.mark.parametrize("name", SECTIONS)
def test_every_file_of_the_page_is_short(name):
    for _, text in SECTIONS[name]:
        assert len(text.splitlines()) <= MOST_LINES


@pytest.mark.long
@pytest.mark.parametrize("name", SECTIONS)
def test_the_page_works_when_it_is_followed_literally(name, tmp_path):
    for language, text in SECTIONS[name]:
        if language != "bash":
            path = tmp_path / FILE.match(text)[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            continue
        for command in text.strip().splitlines():
            bin_folder = Path(sys.executable).parent
            env = os.environ | {
                "PATH": f"{bin_folder}:{os.environ['PATH']}",
                "OMP_NUM_THREADS": "1",
            }
            done = subprocess.run(
                ["bash", "-c", command], cwd=tmp_path, env=env, capture_output=True, text=True
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
