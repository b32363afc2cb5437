"""A memory-mapped file that several processes share: a header, a catalog, and areas of rows.

The catalog lists the views and the areas of their rows. The file holds two copies: a writer fills
the inactive copy and then activates it by storing one word, the generation. A process that is
killed at any moment leaves either the old or the new catalog active.

``multiprocessing.shared_memory`` is not used because, before Python 3.13, its resource tracker
unlinks a segment when any process that attached to it exits.
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
_GENERATION = 1  # index of the header's word after the magic number
_CATALOGS = (HEADER, HEADER + CATALOG_BYTES)  # offsets of the copies, each: length, CRC, JSON


def shared_folder() -> Path:
    """Return the folder of shared files: /dev/shm if it is writable, else the temporary folder."""
    memory = Path("/dev/shm")
    return memory if os.access(memory, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())


class SharedFile:
    """A mapping of the file and the catalog as last read.

    If the file was deleted and created again, it is opened again; the store is then empty. No file
    descriptor stays open between calls, so that child processes do not inherit a lock.

    Args:
        path: the file; it is created if missing, readable and writable by this user only.

    Raises:
        ValueError: the file cannot be created, is no store, or belongs to another user.
        StoreUnavailableError: there is not enough memory or disk space.
    """

    words: Words  # the whole file

    def __init__(self, path: Path) -> None:
        self.path = path
        self._holder = 0  # id of the process that holds the lock through this object, or 0
        self._open()

    @property
    def version(self) -> tuple[int, int, int]:
        """The catalog that was last read, identified by device, inode and generation."""
        return (*self._identity, self.generation)

    def refresh(self) -> None:
        """Update the mapping and the catalog if the file has changed.

        Raises:
            StoreUnavailableError: the file was deleted and cannot be created again.
        """
        if self._holder != os.getpid() and self._replaced():
            self._reopen()
        elif not self.is_current():
            self._read_catalog()

    def is_current(self) -> bool:
        """Return whether the catalog in the file is the one last read."""
        return int(self.words[_GENERATION]) == self.generation

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the writers' lock; the system releases the lock of a process that is killed.

        Raises:
            StoreUnavailableError: the file was deleted and cannot be created again.
        """
        if self._holder == os.getpid():
            yield
            return
        while True:
            if self._replaced():
                self._reopen()
            try:
                descriptor = self._descriptor(os.O_RDWR)
            except OSError:
                continue  # the file was deleted in between
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if self._replaced():
                    continue
                self._holder = os.getpid()
                self.refresh()
                yield
                return
            finally:
                self._holder = 0
                _unlock(descriptor)

    @contextmanager
    def writers_excluded(self) -> Iterator[bool]:
        """Try, without waiting, to exclude writers; yield whether that succeeded."""
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
        """Return a view of `count` words from an offset in bytes on."""
        return self.words[offset // WORD : offset // WORD + count]

    def reserve(self, end: int) -> None:
        """Extend the file to at least `end` bytes; the caller must hold the lock.

        Raises:
            StoreUnavailableError: there is not enough memory or disk space.
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
        """Activate another catalog; the caller must hold the lock and have filled its areas.

        Raises:
            ValueError: the catalog is too large.
        """
        self.generation = _put_catalog(self.words, catalog)
        self.catalog = catalog

    def _replaced(self) -> bool:
        """Return whether the path no longer leads to the mapped file."""
        try:
            now = os.stat(self.path)
        except OSError:
            return True
        return (now.st_dev, now.st_ino) != self._identity

    def _descriptor(self, flags: int) -> int:
        """Open the file without following links and return its descriptor."""
        return os.open(self.path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    def _reopen(self) -> None:
        """Open the file again; any failure makes the store unavailable."""
        try:
            self._open()
        except ValueError as error:
            raise StoreUnavailableError(str(error)) from error

    def _open(self) -> None:
        """Map the file and initialise it if it has no magic number.

        An interrupted initialisation leaves no magic number, so the next process repeats it.
        """
        try:
            descriptor = self._descriptor(os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise ValueError(f"store file {self.path}: {error.strerror}") from error
        try:
            found = os.fstat(descriptor)
            if found.st_uid != os.getuid():
                raise ValueError(
                    f"store file {self.path} belongs to user {found.st_uid}; "
                    "allowed is a file of this user"
                )
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            words = _mapped(descriptor)
            if not (words.size and words[0] == _MAGIC):
                header = words[: HEADER // WORD].copy()
                header[_GENERATION : _GENERATION + 1] = 0
                if header.any() or words.nbytes > AREAS:
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
        """Read the active catalog, again if a writer activates another one meanwhile."""
        while True:
            generation = int(self.words[_GENERATION])
            start = _CATALOGS[generation % 2]
            length, crc = int(self.words[start // WORD]), int(self.words[start // WORD + 1])
            text = self.words.view(np.uint8)[start + 2 * WORD :][:length].tobytes()
            if int(self.words[_GENERATION]) != generation:
                continue
            if zlib.crc32(text) != crc:
                raise ValueError(f"{self.path} is damaged: the checksum of its catalog is wrong")
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
    """Release the lock and close the descriptor.

    Closing alone would not release it, because a mapping keeps the descriptor's file open.
    """
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def _put_catalog(words: Words, catalog: Catalog) -> int:
    """Write a catalog to the inactive copy, activate it and return its generation."""
    text = json.dumps(asdict(catalog)).encode()
    if len(text) > CATALOG_BYTES - 2 * WORD:
        raise ValueError(
            f"catalog of {len(text)} bytes is too large: fewer or smaller views are allowed"
        )
    following = int(words[_GENERATION]) + 1
    start = _CATALOGS[following % 2]
    words[start // WORD] = len(text)
    words[start // WORD + 1] = zlib.crc32(text)
    body = words.view(np.uint8)[start + 2 * WORD : start + 2 * WORD + len(text)]
    body[:] = np.frombuffer(text, np.uint8)
    words[_GENERATION] = following
    return following


def _lengthen(descriptor: int, end: int, path: Path) -> None:
    """Extend a file to `end` bytes and allocate them.

    Without allocation, a write to a full file system would kill the process.
    """
    size = os.fstat(descriptor).st_size
    try:
        if end > size:
            os.posix_fallocate(descriptor, size, end - size)
    except OSError as error:
        raise StoreUnavailableError(f"{path}: {error.strerror}") from error


def _mapped(descriptor: int) -> Words:
    """Return the whole words of a file, memory-mapped."""
    length = os.fstat(descriptor).st_size // WORD
    if not length:
        return np.zeros(0, np.uint64)
    with open(descriptor, "r+b", closefd=False) as file:
        return np.memmap(file, np.uint64, "r+", shape=(length,)).view(np.ndarray)
