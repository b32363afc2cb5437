"""One memory-mapped file that several processes share: a header, a catalog, and areas for rows.

The catalog says which views there are and where their rows lie. It is kept twice; a writer fills
the copy that is not in force, then makes it so by storing one word, the generation. A process
killed at any moment leaves the old catalog or the new one. Why not
``multiprocessing.shared_memory``: before Python 3.13 its resource tracker unlinks a segment when
any process that attached to it exits.
"""

import fcntl
import json
import os
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from slowfast_rl.store.protocol import StoreUnavailableError
from slowfast_rl.store.records import WORD, Words

_MAGIC = np.uint64(int.from_bytes(b"slowfast", "little"))
_GENERATION = 1  # word of the header, beside the magic
_CATALOG_BYTES = 1 << 16
_CATALOGS = (4096, 4096 + _CATALOG_BYTES)  # where the two copies begin: length, crc, JSON
_AREAS = 4096 + 2 * _CATALOG_BYTES  # where the first area begins


@dataclass
class Area:
    """Where a view's rows lie."""

    view: dict[str, Any]  # `FeatureView.to_json`
    offset: int  # bytes
    capacity: int  # slots


@dataclass
class Catalog:
    """What the file holds."""

    areas: list[Area] = field(default_factory=list)
    free: list[tuple[int, int]] = field(default_factory=list)  # (offset, bytes) to use again
    end: int = _AREAS  # of the last area, in bytes

    def room(self, size: int) -> int:
        """Return the offset of so many bytes: the smallest free piece that has them, or new."""
        fitting = sorted((bytes_, offset) for offset, bytes_ in self.free if bytes_ >= size)
        if fitting:
            bytes_, offset = fitting[0]
            self.free.remove((offset, bytes_))
            if bytes_ > size:
                self.free.append((offset + size, bytes_ - size))
            return offset
        self.end += size
        return self.end - size


def shared_folder() -> Path:
    """Return where shared files are kept: memory, where the system offers it as files."""
    memory = Path("/dev/shm")
    return memory if os.access(memory, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())


class SharedFile:
    """A mapping of the file, with the catalog as last read.

    A file that was deleted and made anew is opened again: it is a store that restarted empty.

    Args:
        path: the file; made if missing, for this user alone.

    Raises:
        ValueError: the file holds something else, or belongs to another user.
        StoreUnavailableError: there is no room for it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor, self._holder = (
            -1,
            0,
        )  # the process that holds the lock through this object
        self._open()

    @property
    def version(self) -> tuple[int, int, int]:
        """Which catalog of which file was last read."""
        return (*self._identity, self.generation)

    def look(self) -> None:
        """Bring mapping and catalog up to date."""
        if self._holder != os.getpid() and self._replaced():
            self._open()
        elif not self.current():
            self._read_catalog()

    def current(self) -> bool:
        """Return whether the catalog is still the one last read."""
        return int(self.words[_GENERATION]) == self.generation

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other writers out; the system releases the lock of a process that is killed."""
        if self._holder == os.getpid():
            yield
            return
        while True:
            if os.getpid() != self._pid or self._replaced():
                self._open()  # a forked child would share its parent's lock
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            if not self._replaced():
                break
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        self._holder = os.getpid()
        try:
            self.look()
            yield
        finally:
            self._holder = 0
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    @contextmanager
    def quiet(self) -> Iterator[bool]:
        """Yield whether no process is writing, and none begins until the end; does not wait."""
        if os.getpid() != self._pid:
            self._open()
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        try:
            yield True
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def area(self, offset: int, count: int) -> Words:
        """Return so many words from an offset in bytes on, not copied."""
        return self.words[offset // WORD : offset // WORD + count]

    def reserve(self, end: int) -> None:
        """Make the file at least so long, in bytes; only under the lock.

        Raises:
            StoreUnavailableError: there is no room.
        """
        size = os.fstat(self._descriptor).st_size
        if end > size:
            try:  # with real memory behind it: a sparse file would kill its writer when that ends
                os.posix_fallocate(self._descriptor, size, end - size)
            except OSError as error:
                raise StoreUnavailableError(f"{self.path}: {error.strerror}") from error
        if end > self.words.nbytes:
            self._map()

    def publish(self, catalog: Catalog) -> None:
        """Put another catalog in force; only under the lock, with its areas filled.

        Raises:
            ValueError: it is too large.
        """
        text = json.dumps(asdict(catalog)).encode()
        if len(text) > _CATALOG_BYTES - 2 * WORD:
            raise ValueError(f"catalog of {len(text)} bytes: fewer or smaller views are allowed")
        following = int(self.words[_GENERATION]) + 1
        start = _CATALOGS[following % 2]
        self.words[start // WORD] = len(text)
        self.words[start // WORD + 1] = zlib.crc32(text)
        body = self.words.view(np.uint8)[start + 2 * WORD : start + 2 * WORD + len(text)]
        body[:] = np.frombuffer(text, np.uint8)
        self.words[_GENERATION] = following
        self.catalog, self.generation = catalog, following

    def close(self) -> None:
        """Let go of the file; what was read stays readable."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _replaced(self) -> bool:
        try:
            now = os.stat(self.path)
        except FileNotFoundError:
            return True
        return (now.st_dev, now.st_ino) != self._identity

    def _open(self) -> None:
        self.close()
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._descriptor = os.open(self.path, flags, 0o600)
        except OSError as error:
            raise ValueError(f"store file {self.path}: {error.strerror}") from error
        self._pid, found = os.getpid(), os.fstat(self._descriptor)
        self._identity = (found.st_dev, found.st_ino)
        if found.st_uid != os.getuid():
            raise ValueError(f"store file {self.path} belongs to user {found.st_uid}; allowed: you")
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        try:
            self._map_first()
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        self._read_catalog()

    def _map_first(self) -> None:
        """Map the file, and begin it if nobody has; whoever was killed on the way left no magic."""
        self.words = np.zeros(0, np.uint64)
        length = os.fstat(self._descriptor).st_size
        if length >= WORD:
            self._map()
        begun = bool(self.words.size and self.words[0] == _MAGIC)
        if not begun and self.words.any():
            raise ValueError(f"{self.path} is not a feature store")
        if not begun:
            self.reserve(_AREAS)
            self.publish(Catalog())
            self.words[0] = _MAGIC

    def _map(self) -> None:
        length = os.fstat(self._descriptor).st_size // WORD
        with open(self._descriptor, "r+b", closefd=False) as file:
            self.words = np.memmap(file, np.uint64, "r+", shape=(length,)).view(np.ndarray)

    def _read_catalog(self) -> None:
        while True:
            generation = int(self.words[_GENERATION])
            start = _CATALOGS[generation % 2]
            length, crc = int(self.words[start // WORD]), int(self.words[start // WORD + 1])
            text = self.words.view(np.uint8)[start + 2 * WORD :][:length].tobytes()
            if int(self.words[_GENERATION]) != generation:
                continue
            if zlib.crc32(text) != crc:
                raise ValueError(f"{self.path} is damaged: its catalog is not what was written")
            tree = json.loads(text)
            self.catalog = Catalog(
                [Area(**area) for area in tree["areas"]],
                [(offset, size) for offset, size in tree["free"]],
                tree["end"],
            )
            self.generation = generation
            if self.catalog.end > self.words.nbytes:
                self._map()
            return
