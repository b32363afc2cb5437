"""Validation of a store's input, with errors that name the value and what is allowed."""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import numpy as np
from numpy.typing import ArrayLike, NDArray

from slowfast_rl.members.arrays import Int64
from slowfast_rl.store.views import FeatureView

_MAX_TIME = np.iinfo(np.int64).max


def within(values: Int64, limit: int) -> bool:
    """Return whether all values are from 0 to below a limit, which is 2^63 or less.

    One comparison suffices: read as unsigned numbers, negative values are larger than every limit.
    """
    if values.size == 1:  # a single decision: NumPy's reductions take a microsecond
        return bool(0 <= values.item() < limit)
    return bool(np.maximum.reduce(values.view(np.uint64), axis=None, initial=0) < limit)


def check_ids(entity_ids: ArrayLike) -> Int64:
    """Return entity ids as int64 [B].

    Raises:
        ValueError: they are not a one-dimensional array of non-negative integers.
    """
    ids = _integers("entity_ids", entity_ids)
    if ids.ndim != 1:
        raise ValueError(f"entity_ids of shape {ids.shape}: allowed is one axis, [B]")
    if not within(ids, 1 << 63):
        raise ValueError(f"entity id {ids.min()}: allowed are 0 and above")
    return ids


def check_distinct(ids: Int64) -> None:
    """Check that ids [B] are all different.

    Raises:
        ValueError: an id comes twice; the message names it.
    """
    if len(ids) < 2 or (ids[1:] > ids[:-1]).all():  # fast path: ids are mostly sorted
        return
    ordered = np.sort(ids)
    repeated = ordered[1:] == ordered[:-1]
    if repeated.any():
        raise ValueError(
            f"entity id {ordered[1:][repeated][0]} comes twice; a write takes one row per id"
        )


def check_times(name: str, times: ArrayLike, count: int) -> int | Int64:
    """Return a scalar time as int, or times of rows as int64 [B], in seconds.

    Args:
        name: the argument's name, for error messages.
        times: the times.
        count: B.

    Raises:
        ValueError: they are not one or `count` non-negative integers.
    """
    if type(times) is int and 0 <= times <= _MAX_TIME:
        return times
    values = _integers(name, times)
    if values.ndim and values.shape != (count,):
        raise ValueError(f"{name} of shape {values.shape}: allowed is a scalar or [{count}]")
    if not within(values, 1 << 63):
        raise ValueError(f"{name} {values.min()}: allowed are 0 seconds and above")
    return values if values.ndim else int(values)


def check_rows(
    view: FeatureView, rows: Mapping[str, ArrayLike], count: int
) -> dict[str, NDArray[Any]]:
    """Return the columns of `count` rows in the view's dtypes, [B, *shape] each.

    Args:
        view: the view of the rows.
        rows: the columns by name.
        count: B.

    Raises:
        ValueError: a column is missing or unknown, its dtype does not cast safely, or its shape is
            not the view's.
    """
    for name in (*view.columns, *rows):
        if (name in rows) != (name in view.columns):
            what = "unknown" if name in rows else "missing"
            raise ValueError(
                f"view {view.name!r}: column {name!r} is {what}; it has {', '.join(view.columns)}"
            )
    columns: dict[str, NDArray[Any]] = {}
    for name, column in view.columns.items():
        values = np.asarray(rows[name])
        if count == 0 and values.shape == (0,):  # such as [], which NumPy takes for float64
            values = np.zeros((0, *column.shape), column.dtype)
        where = f"column {name!r} of view {view.name!r}"
        if not np.can_cast(values.dtype, column.dtype, "safe"):
            raise ValueError(
                f"{where} has dtype {values.dtype}: allowed are dtypes that cast "
                f"safely to {column.dtype}"
            )
        if values.shape != (count, *column.shape):
            raise ValueError(
                f"{where} has shape {values.shape}: allowed is {(count, *column.shape)}"
            )
        columns[name] = values.astype(column.dtype, copy=False)
    return columns


def check_no_password(url: str, options: Iterable[str], variable: str) -> SplitResult:
    """Return a server's address without the parts that may hold secrets.

    Args:
        url: the server's URL.
        options: names of further connection settings.
        variable: the environment variable for the password.

    Raises:
        ValueError: the URL or an option holds a password, which the message does not repeat.
    """
    parts = urlsplit(url)
    settings = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    if parts.password is not None or any("password" in unquote(name) for name in settings):
        raise ValueError(f"the url holds a password; it belongs in ${variable}")
    if any("password" in name for name in options):
        raise ValueError(f"options hold a password; it belongs in ${variable}")
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="")


def _integers(name: str, values: ArrayLike) -> Int64:
    """Return values as int64; `name` is the argument's name in error messages."""
    array = np.asarray(values)
    if array.dtype == np.int64:
        return array
    if not array.size:  # such as [], which NumPy takes for float64
        return np.zeros(array.shape, np.int64)
    if array.dtype.kind not in "iu" or not np.can_cast(array.dtype, np.int64, "safe"):
        raise ValueError(f"{name} of dtype {array.dtype}: allowed are integers that fit int64")
    return array.astype(np.int64)
