"""Compiled kernels on disk: in a folder that only their user can write, and checked when read.

numba's cache holds pickles and machine code, so whoever can write its files runs code in the
processes that read them. Hence no folder is used that somebody else could have made or can change;
where there is none, nothing is kept. A digest at the end of each file tells damaged ones, which are
compiled again.
"""

import logging
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

from numba.core.caching import FunctionCache, IndexDataCacheFile

_LOG = logging.getLogger("slowfast_rl")
_DIGEST_BYTES = sha256().digest_size


def private_folder() -> Path | None:
    """Return this user's own folder for compiled kernels, made if it is missing.

    It is in the folder that ``NUMBA_CACHE_DIR`` names, else in the user's cache folder, else in
    the folder for temporary files; None where no other user is kept out of any of these.
    """
    given = os.environ.get("NUMBA_CACHE_DIR")
    if given:
        folder = _own_folder(Path(given))
        if folder is not None:
            return folder
        _LOG.warning(
            f"NUMBA_CACHE_DIR is {given!r}, which is not used: allowed is a folder that you can "
            "write and no other user can change"
        )
    bases = [os.environ.get("XDG_CACHE_HOME")]
    with suppress(RuntimeError):  # there is no home
        bases.append(str(Path.home() / ".cache"))
    bases.append(tempfile.gettempdir())
    found = (_own_folder(Path(base)) for base in bases if base)
    return next((folder for folder in found if folder is not None), None)


def _own_folder(base: Path) -> Path | None:
    """Return the user's own folder in another one; None if it cannot be made or is not private."""
    user = os.geteuid() if hasattr(os, "geteuid") else None  # Windows has no such number
    try:
        # Without links on the way, which others could point elsewhere later.
        folder = base.resolve() / f"slowfast_rl{'' if user is None else f'-{user}'}"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if user is not None and not _is_private(folder, user):
            return None
    except (OSError, RuntimeError):  # RuntimeError: links in a circle
        return None
    return folder if os.access(folder, os.W_OK | os.X_OK) else None


def _is_private(folder: Path, user: int) -> bool:
    """Return whether a folder is the user's and no link, and nobody else can change or replace it.

    Others may write in a folder above it only if it is sticky, where they cannot rename what is
    not theirs.
    """
    own = folder.lstat()
    if not stat.S_ISDIR(own.st_mode) or own.st_uid != user or own.st_mode & 0o077:
        return False
    for above in map(Path.lstat, folder.parents):
        if above.st_uid not in (0, user):
            return False
        if above.st_mode & 0o022 and not above.st_mode & stat.S_ISVTX:
            return False
    return True


def keep_in(folder: Path, dispatcher: Any) -> None:
    """Let a dispatcher of numba keep its compiled versions in a folder.

    A function that numba would keep elsewhere, such as one without a source file, is not kept.
    """
    try:
        found = _KernelCache(dispatcher.py_func)
    except RuntimeError:  # numba finds no file that the function is from
        return
    if Path(found.cache_path).is_relative_to(folder):
        dispatcher._cache = found


class _CheckedFile(IndexDataCacheFile):  # type: ignore[misc]  # numba is untyped
    """numba's index and data files, with a digest of their content at the end.

    Unpickling stops before the digest, so that numba's own code reads the files.
    """

    def _load_index(self) -> Any:
        return super()._load_index() if _is_intact(self._index_path) else {}

    def _load_data(self, name: str) -> Any:
        if not _is_intact(self._data_path(name)):
            raise OSError(f"{name} is damaged")  # for numba, a file that is not there
        return super()._load_data(name)

    @contextmanager
    def _open_for_write(self, filepath: str) -> Iterator[BytesIO]:
        buffer = BytesIO()
        yield buffer
        content = buffer.getvalue()
        with super()._open_for_write(filepath) as file:
            file.write(content + sha256(content).digest())


class _KernelCache(FunctionCache):  # type: ignore[misc]  # numba is untyped
    """numba's cache of one function, in checked files."""

    def __init__(self, function: Any) -> None:
        super().__init__(function)
        self._cache_file = _CheckedFile(
            cache_path=self._cache_path,
            filename_base=self._impl.filename_base,
            source_stamp=self._impl.locator.get_source_stamp(),
        )

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled version; a full disk only means that it is compiled again."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            _LOG.warning(f"A compiled kernel is not kept: {error}")


def _is_intact(path: str) -> bool:
    """Return whether a file ends with the digest of what stands before it."""
    try:
        content = Path(path).read_bytes()
    except OSError:
        return False
    return sha256(content[:-_DIGEST_BYTES]).digest() == content[-_DIGEST_BYTES:]
