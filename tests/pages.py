"""Pages of the documentation: their code blocks, run as a reader runs them, and their headings."""

import os
import re
import signal
import subprocess
import sys
from contextlib import chdir, suppress
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

from tests.waiting import HANG_SECONDS

ROOT = Path(__file__).parents[1]
_FENCED = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"(?:#|<!--) file: (\S+)(?: -->)?\n")
_COMMAND = re.compile(r"(make|pip|python|bash|slowfast-\w+) ")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


class Block(NamedTuple):
    """A fenced block of a page.

    A block that begins with a comment ``file: <name>`` is the content of a file.
    """

    language: str  # a block of shell commands is bash, whether it says so or not
    text: str
    line: int  # of the page, before the first line of the text

    @property
    def file(self) -> str | None:
        """The name of the file that it is the content of."""
        named = _FILE.match(self.text)
        return named[1] if named else None


def blocks_of(text: str) -> list[Block]:
    """Return the blocks of a page."""
    found = []
    for fenced in _FENCED.finditer(text):
        content = dedent(fenced[3])
        language = fenced[2] or ("bash" if _COMMAND.match(content) else "")
        found.append(Block(language, content, text.count("\n", 0, fenced.start()) + 1))
    return found


def sections_of(text: str) -> dict[str, list[Block]]:
    """Return the blocks of each section of second level that has any, by its heading."""
    parts = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)
    found = {name: blocks_of(part) for name, part in zip(parts[1::2], parts[2::2], strict=True)}
    return {name: blocks for name, blocks in found.items() if blocks}


def anchors_of(text: str) -> list[str]:
    """Return the anchors of a page's headings, as code-hosting sites make them."""
    outside_code = _FENCED.sub("", text)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", h) for h in _HEADING.findall(outside_code)]
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in plain]


def follow(blocks: list[Block], folder: Path, page: str) -> None:
    """Do in a folder what the blocks of a page say: write files, run commands and Python.

    Python of a page runs in one namespace, from top to bottom.
    """
    namespace: dict[str, object] = {"__name__": "page"}
    for block in blocks:
        if block.file is not None:
            path = folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
        elif block.language == "bash":
            _run_commands(block.text, folder)
        elif block.language == "python":
            code = compile("\n" * block.line + block.text, page, "exec")
            with chdir(folder):
                exec(code, namespace)  # noqa: S102 - the page's own code


def _run_commands(text: str, folder: Path) -> None:
    """Run the commands of a block until one fails, and end what they left running."""
    env = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
    }
    said = folder / ".said"
    with said.open("w") as output:
        shell = subprocess.Popen(
            ["bash", "-eu", "-c", text],
            cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
        try:
            code = shell.wait(HANG_SECONDS)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
    assert code == 0, f"{text}\n{said.read_text()}"
