"""Atomic writes: a file is written under another name and then renamed."""

import os
from pathlib import Path


def write_text_atomically(path: Path, text: str) -> None:
    """Write text so that readers see the old file or all of the new one, even after a crash."""
    write_bytes_atomically(path, text.encode())


def write_block(path: Path, name: str, text: str) -> None:
    """Replace the text between ``<!-- name -->`` and ``<!-- /name -->`` in a document.

    Raises:
        ValueError: the document has no such block.
    """
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, opened, rest = path.read_text("utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not (opened and closed):
        raise ValueError(
            f"{path} has no block {name}; the lines {begin.strip()} and {end} are needed"
        )
    write_text_atomically(path, f"{before}{begin}{text}\n{end}{after}")


def write_bytes_atomically(path: Path, content: bytes) -> None:
    """Write bytes so that readers see the old file or all of the new one, even after a crash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
