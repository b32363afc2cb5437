"""The journal of a decision log: decisions are appended before they are answered.

A decision is one line of JSON. What was appended is with the operating system and survives the end
of the process, killed or not; it is not forced to the disk, so that a power failure may lose the
last seconds. The rows of a full journal become one part of the log, in parquet.
"""

import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from slowfast_rl.logs.schema import DECISIONS

_LOG = logging.getLogger(__name__)
_ROWS = 1000  # in a journal before they become a part of the log


class Journal:
    """The decisions that are not in parquet yet, in ``journal/`` beside the log's ``decisions/``.

    Journals that an earlier process left become parts of the log first.

    Args:
        folder: the folder of ``decisions/`` and ``journal/``, which nobody else writes to.
    """

    def __init__(self, folder: Path) -> None:
        from slowfast_rl.logs import parquet  # noqa: F401 - needs an extra: fail early

        self._folder, self._decisions = folder / "journal", folder / "decisions"
        self._file = -1  # descriptor of the open journal, -1 for none
        self._size = self._rows = self._number = 0
        self._failing = False
        self.convert()

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append rows with one write: all of them, or none.

        Raises:
            OSError: they cannot be written.
        """
        if not rows:
            return
        content = "".join(f"{json.dumps(row)}\n" for row in rows).encode()
        if self._file < 0:
            self._open()
        try:
            written = 0
            while written < len(content):  # the system may write a part, as on a full disk
                written += os.write(self._file, content[written:])
        except OSError:
            self._take_back()
            raise
        self._size += len(content)
        self._rows += len(rows)
        if self._rows >= _ROWS:
            self.convert()

    def convert(self) -> None:
        """Turn all journals into parts of the log; those that cannot be written stay for later."""
        self._close()
        for path in sorted(self._folder.glob("*.jsonl")):
            try:
                self._convert(path)
            except OSError as error:
                if not self._failing:
                    _LOG.warning("decisions stay in %s for now: %s", self._folder, error)
                self._failing = True
                return
        self._failing = False

    def _convert(self, path: Path) -> None:
        """Write a journal's rows as one part of the log; a part of its name is replaced."""
        from slowfast_rl.logs.parquet import write_rows

        *lines, torn = path.read_bytes().split(b"\n")
        if torn:  # its decision was never answered
            _LOG.warning("the last record of %s is torn and left out", path)
        try:
            if lines:
                write_rows(
                    self._decisions, path.stem, DECISIONS, [json.loads(line) for line in lines]
                )
        except ValueError as error:
            kept = path.rename(path.with_suffix(".damaged"))
            _LOG.warning("%s is damaged and no part of the log: %s", kept, error)
        else:
            path.unlink()

    def _open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"part-{time.time_ns():020}-{self._number:06}.jsonl"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        self._number += 1
        self._size = self._rows = 0

    def _take_back(self) -> None:
        """Remove what a failed append has written."""
        try:
            os.ftruncate(self._file, self._size)
        except OSError:
            self._close()  # a torn record is only allowed at a journal's end

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1
