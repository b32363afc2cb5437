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
from dataclasses import asdict
from pathlib import Path

import numpy as np

from slowfast_rl.store.protocol import StoreUnavailableError
from slowfast_rl.store.records import WORD, Words
from slowfast_rl.store.shared_catalog import AREAS, CATALOG_BYTES, HEADER, Area, Catalog

_MAGIC = np.uint64(int.from_bytes(b"slowfast", "little"))
_GENERATION = 1  # word of the header, beside the magic
_CATALOGS = (HEADER, HEADER + CATALOG_BYTES)  # where the copies begin: length, crc, JSON


def shared_folder() -> Path:
    """Return where shared files are kept: memory, where the system offers it as files."""
    memory = Path("/dev/shm")
    return memory if os.access(memory, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())


class SharedFile:
    """A mapping of the file, with the catalog as last read.

    A file that was deleted and made anew is opened again: it is a store that restarted empty. No
    descriptor outlives a call, so that no child inherits a lock.

    Args:
        path: the file; made if missing, for this user alone.

    Raises:
        ValueError: the file cannot be made, holds something else, or belongs to another user.
        StoreUnavailableError: there is no room for it.
    """

    words: Words  # the whole file

    def __init__(self, path: Path) -> None:
        self.path = path
        self._holder = 0  # the process that holds the lock through this object
        self._open()

    @property
    def version(self) -> tuple[int, int, int]:
        """Which catalog of which file was last read: device, inode, generation."""
        return (*self._identity, self.generation)

    def look(self) -> None:
        """Bring mapping and catalog up to date.

        Raises:
            StoreUnavailableError: the file is gone and cannot be made anew.
        """
        if self._holder != os.getpid() and self._replaced():
            self._open_again()
        elif not self.current():
            self._read_catalog()

    def current(self) -> bool:
        """Return whether the catalog is still the one last read."""
        return int(self.words[_GENERATION]) == self.generation

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other writers out; the system releases the lock of a process that is killed.

        Raises:
            StoreUnavailableError: the file is gone and cannot be made anew.
        """
        if self._holder == os.getpid():
            yield
            return
        while True:
            if self._replaced():
                self._open_again()
            try:
                descriptor = self._descriptor(os.O_RDWR)
            except OSError:
                continue  # it was deleted this moment
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if self._replaced():
                    continue
                self._holder = os.getpid()
                self.look()
                yield
                return
            finally:
                self._holder = 0
                _unlock(descriptor)

    @contextmanager
    def quiet(self) -> Iterator[bool]:
        """Yield whether no process is writing, and none begins until the end; does not wait."""
        try:
            descriptor = self._descriptor(os.O_RDWR)
        except OSError:
            yield False
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
        finally:
            _unlock(descriptor)

    def area(self, offset: int, count: int) -> Words:
        """Return so many words from an offset in bytes on, not copied."""
        return self.words[offset // WORD : offset // WORD + count]

    def reserve(self, end: int) -> None:
        """Make the file at least so long, in bytes; only under the lock.

        Raises:
            StoreUnavailableError: there is no room.
        """
        if end <= self.words.nbytes:
            return
        descriptor = self._descriptor(os.O_RDWR)
        try:
            _lengthen(descriptor, end, self.path)
            self.words = _mapped(descriptor)
        finally:
            os.close(descriptor)

    def publish(self, catalog: Catalog) -> None:
        """Put another catalog in force; only under the lock, with its areas filled.

        Raises:
            ValueError: it is too large.
        """
        self.generation = _put_catalog(self.words, catalog)
        self.catalog = catalog

    def _replaced(self) -> bool:
        try:
            now = os.stat(self.path)
        except OSError:
            return True
        return (now.st_dev, now.st_ino) != self._identity

    def _descriptor(self, flags: int) -> int:
        return os.open(self.path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    def _open_again(self) -> None:
        try:
            self._open()
        except ValueError as error:  # whoever is running by now cannot be told to start otherwise
            raise StoreUnavailableError(str(error)) from error

    def _open(self) -> None:
        """Map the file, and begin it if nobody has; whoever failed on the way left no magic."""
        try:
            descriptor = self._descriptor(os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise ValueError(f"store file {self.path}: {error.strerror}") from error
        try:
            found = os.fstat(descriptor)
            if found.st_uid != os.getuid():
                raise ValueError(
                    f"store file {self.path} belongs to user {found.st_uid}; allowed: you"
                )
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            words = _mapped(descriptor)
            if not (words.size and words[0] == _MAGIC):
                beginning = words[: HEADER // WORD].copy()
                beginning[_GENERATION : _GENERATION + 1] = 0
                if beginning.any() or words.nbytes > AREAS:
                    raise ValueError(f"{self.path} is not a feature store")
                _lengthen(descriptor, AREAS, self.path)
                words = _mapped(descriptor)
                words[_GENERATION] = 0
                _put_catalog(words, Catalog())
                words[0] = _MAGIC
        finally:
            _unlock(descriptor)
        self.words, self._identity = words, (found.st_dev, found.st_ino)
        self._read_catalog()

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
                descriptor = self._descriptor(os.O_RDWR)
                try:
                    self.words = _mapped(descriptor)
                finally:
                    os.close(descriptor)
            return


def _unlock(descriptor: int) -> None:
    """Release the lock and close: a mapping made of the descriptor would keep the lock alive."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def _put_catalog(words: Words, catalog: Catalog) -> int:
    """Write a catalog to the copy that is not in force, put it in force, return its generation."""
    text = json.dumps(asdict(catalog)).encode()
    if len(text) > CATALOG_BYTES - 2 * WORD:
        raise ValueError(f"catalog of {len(text)} bytes: fewer or smaller views are allowed")
    following = int(words[_GENERATION]) + 1
    start = _CATALOGS[following % 2]
    words[start // WORD] = len(text)
    words[start // WORD + 1] = zlib.crc32(text)
    body = words.view(np.uint8)[start + 2 * WORD : start + 2 * WORD + len(text)]
    body[:] = np.frombuffer(text, np.uint8)
    words[_GENERATION] = following
    return following


def _lengthen(descriptor: int, end: int, path: Path) -> None:
    """Make a file so long with real memory behind it: a sparse one would kill its writer later."""
    size = os.fstat(descriptor).st_size
    try:
        if end > size:
            os.posix_fallocate(descriptor, size, end - size)
    except OSError as error:
        raise StoreUnavailableError(f"{path}: {error.strerror}") from error


def _mapped(descriptor: int) -> Words:
    length = os.fstat(descriptor).st_size // WORD
    if not length:
        return np.zeros(0, np.uint64)
    with open(descriptor, "r+b", closefd=False) as file:
        return np.memmap(file, np.uint64, "r+", shape=(length,)).view(np.ndarray)
