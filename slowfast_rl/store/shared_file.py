"""A memory-mapped file that several processes share: a header, a catalog, and areas of rows.

The catalog lists the views and the areas of their rows. The file holds two copies: a writer fills
the inactive copy and then activates it by storing one word, the generation. A process that is
killed at any moment leaves either the old or the new catalog active. A catalog's CRC covers its
generation, so that the inactive copy is never taken for the active one.

Each call compares the file's length with the mapping. A file that another process shortens during a
call still kills the caller by SIGBUS, as any memory-mapped file does.

``multiprocessing.shared_memory`` is not used because, before Python 3.13, its resource tracker
unlinks a segment when any process that attached to it exits.
"""

import fcntl
import os
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from slowfast_rl.store.protocol import StoreUnavailableError
from slowfast_rl.store.records import WORD, Words
from slowfast_rl.store.shared_catalog import AREAS, CATALOG_BYTES, HEADER, Catalog

_MAGIC = np.uint64(int.from_bytes(b"slowfast", "little"))
_GENERATION = 1  # index of the header's word after the magic number
_CATALOGS = (HEADER, HEADER + CATALOG_BYTES)  # offsets of the copies, each: length, CRC, JSON
_CATALOG_TRIES = 1000  # reads of a catalog that other processes change during each of them
_LOCK_TIMEOUT_SECONDS = 2.0  # limit of waiting for the lock
_LOCK_RETRY_SECONDS = 1e-3  # between two attempts to get the lock


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
        StoreUnavailableError: the file is damaged, another process keeps it locked, or there is not
            enough memory or disk space.
    """

    words: Words  # the whole file

    def __init__(self, path: Path) -> None:
        self.path = path
        self._holder = 0  # id of the process that holds the lock through this object, or 0
        self.openings = 0  # how often the path was opened: more than once if it was replaced
        self._open()

    @property
    def version(self) -> tuple[int, int]:
        """The catalog that was last read, identified by the opening and the generation."""
        return self.openings, self.generation

    def refresh(self) -> None:
        """Update the mapping and the catalog if the file has changed.

        Raises:
            StoreUnavailableError: the file is damaged, or was deleted and cannot be created again.
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
            StoreUnavailableError: another process keeps the lock, or the file is damaged, or it was
                deleted and cannot be created again.
        """
        if self._holder == os.getpid():
            yield
            return
        deadline = time.monotonic() + _LOCK_TIMEOUT_SECONDS
        while True:
            if self._replaced():
                self._reopen()
            try:
                descriptor = self._descriptor(os.O_RDWR)
            except OSError as error:
                if time.monotonic() > deadline:
                    raise StoreUnavailableError(f"{self.path}: {error.strerror}") from error
                continue  # the file was deleted in between
            try:
                _lock(descriptor, self.path, deadline)
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
        self.words = self._mapped_again(end)

    def publish(self, catalog: Catalog) -> None:
        """Activate another catalog; the caller must hold the lock and have filled its areas.

        Raises:
            ValueError: the catalog is too large.
        """
        self.generation = _put_catalog(self.words, catalog)
        self.catalog = catalog

    def _replaced(self) -> bool:
        """Return whether the path no longer leads to the whole of the mapped file."""
        try:
            now = os.stat(self.path)
        except OSError:
            return True
        return (now.st_dev, now.st_ino) != self._identity or now.st_size < self.words.nbytes

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
            _lock(descriptor, self.path, time.monotonic() + _LOCK_TIMEOUT_SECONDS)
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
        if words.nbytes < AREAS:
            raise self.damaged("it is too short")
        self.words, self._identity = words, (found.st_dev, found.st_ino)
        self.openings += 1
        try:
            self._read_catalog()
        except StoreUnavailableError:
            self._identity = (0, 0)  # so that the next call opens the file again
            raise

    def _mapped_again(self, end: int = 0) -> Words:
        """Return a new mapping of the file, extended to at least `end` bytes.

        Raises:
            StoreUnavailableError: the file is gone, or there is not enough memory or disk space.
        """
        try:
            descriptor = self._descriptor(os.O_RDWR)
        except OSError as error:
            raise StoreUnavailableError(f"{self.path}: {error.strerror}") from error
        try:
            found = os.fstat(descriptor)
            if (found.st_dev, found.st_ino) != self._identity:
                raise StoreUnavailableError(f"{self.path}: another file took its place")
            _lengthen(descriptor, end, self.path)
            return _mapped(descriptor)
        finally:
            os.close(descriptor)

    def damaged(self, why: str) -> StoreUnavailableError:
        """Return the error for a damaged file."""
        return StoreUnavailableError(
            f"{self.path} is damaged: {why}; delete the file to begin with an empty store"
        )

    def _read_catalog(self) -> None:
        """Read the active catalog, again if a writer activates another one meanwhile.

        Raises:
            StoreUnavailableError: the catalog is damaged, or changes at every attempt.
        """
        for _ in range(_CATALOG_TRIES):
            generation = int(self.words[_GENERATION])
            start = _CATALOGS[generation % 2]
            length, crc = int(self.words[start // WORD]), int(self.words[start // WORD + 1])
            first = start + 2 * WORD
            text = self.words.view(np.uint8)[first : start + CATALOG_BYTES][:length].tobytes()
            if int(self.words[_GENERATION]) == generation:
                break
        else:
            raise StoreUnavailableError(f"{self.path}: its catalog changes all the time")
        if self.words[0] != _MAGIC or length != len(text) or _crc(text, generation) != crc:
            raise self.damaged("the checksum of its catalog is wrong")
        try:
            catalog = Catalog.from_json(text)
        except ValueError as error:
            raise self.damaged(str(error)) from error
        if catalog.end > self.words.nbytes:
            words = self._mapped_again()
            if catalog.end > words.nbytes:
                raise self.damaged("it is too short")
            self.words = words
        self.catalog, self.generation = catalog, generation


def _lock(descriptor: int, path: Path, deadline: float) -> None:
    """Lock a file for writing.

    Raises:
        StoreUnavailableError: another process keeps the lock beyond the deadline.
    """
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise StoreUnavailableError(
                    f"{path}: another process has kept its lock for {_LOCK_TIMEOUT_SECONDS} s"
                ) from error
            time.sleep(_LOCK_RETRY_SECONDS)
        else:
            return


def _unlock(descriptor: int) -> None:
    """Release the lock and close the descriptor.

    Closing alone would not release it, because a mapping keeps the descriptor's file open.
    """
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def _put_catalog(words: Words, catalog: Catalog) -> int:
    """Write a catalog to the inactive copy, activate it and return its generation."""
    text = catalog.to_json()
    if len(text) > CATALOG_BYTES - 2 * WORD:
        raise ValueError(
            f"catalog of {len(text)} bytes is too large: fewer or smaller views are allowed"
        )
    following = (int(words[_GENERATION]) + 1) % 2**64
    start = _CATALOGS[following % 2]
    words[start // WORD] = len(text)
    words[start // WORD + 1] = _crc(text, following)
    body = words.view(np.uint8)[start + 2 * WORD : start + 2 * WORD + len(text)]
    body[:] = np.frombuffer(text, np.uint8)
    words[_GENERATION] = following
    return following


def _crc(text: bytes, generation: int) -> int:
    """Return the CRC of a catalog and its generation."""
    return zlib.crc32(text, zlib.crc32(generation.to_bytes(WORD, "little")))


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
