"""Atomic writes: a file is written under another name and then renamed.

Files that are of use only while their process runs carry its name, so that those of processes that
were killed can be found and deleted.
"""

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

_PARTIAL = ".partial"
_OWNER = re.compile(r"\.([0-9a-f]{8}-[0-9]+)\.[a-z]+$")  # of `owner()`, before the ending


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
    with written_atomically(path) as file:
        file.write(content)


@contextmanager
def written_atomically(path: Path) -> Iterator[BinaryIO]:
    """Open a file to be written; it takes its place if the block ends without an error.

    Readers see the old file or all of the new one, even after a crash. The first write of a process
    to a folder deletes what killed processes left there unfinished.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _delete_partial_files(path.parent.resolve())
    partial = path.with_name(f".{path.name}.{owner()}{_PARTIAL}")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def owner() -> str:
    """Return the name of this process: eight hexadecimal digits of the machine, and its id.

    Containers that share a folder count as machines, because their process ids are their own.
    """
    return f"{_machine()}-{os.getpid()}"


def delete_leftovers(folder: Path, pattern: str) -> None:
    """Delete files that carry the name of a process of this machine that no longer runs.

    Args:
        folder: the folder; nothing happens if it cannot be read.
        pattern: of the names of files that end with `owner()`, a dot and a lower-case word.
    """
    for path in folder.glob(pattern):
        named = _OWNER.search(path.name)
        if named is None:
            continue
        machine, _, process = named[1].partition("-")
        if machine == _machine() and not _runs(int(process)):
            try:
                path.unlink(missing_ok=True)
            except OSError:
                continue  # another user's


@cache
def _delete_partial_files(folder: Path) -> None:
    """Delete the unfinished files of killed processes, at the first call for a folder."""
    delete_leftovers(folder, f".*{_PARTIAL}")


@cache
def _machine() -> str:
    """Return eight hexadecimal digits of the host and, on Linux, of the process id namespace."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""
    return f"{crc32(f'{socket.gethostname()} {namespace}'.encode()):08x}"


def _runs(process: int) -> bool:
    """Return whether a process of this machine runs; true where that cannot be found out."""
    if os.name != "posix":  # elsewhere, signal 0 is not harmless
        return True
    try:
        os.kill(process, 0)
    except PermissionError:
        return True  # another user's
    except (ProcessLookupError, OverflowError):
        return False
    return True
