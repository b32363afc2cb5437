"""The store's door: bad input stops here, with the value and what is allowed, in one line."""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import numpy as np
from numpy.typing import ArrayLike, NDArray

from slowfast_rl.members.arrays import Int64
from slowfast_rl.store.views import FeatureView

_LAST = np.iinfo(np.int64).max


def check_ids(entity_ids: ArrayLike) -> Int64:
    """Returns entity ids as int64 [B].

    Raises:
        ValueError: unless they are one axis of non-negative integers.
    """
    ids = _integers("entity_ids", entity_ids)
    if ids.ndim != 1:
        raise ValueError(f"entity_ids of shape {ids.shape}: allowed is one axis, [B]")
    if ids.size and np.minimum.reduce(ids) < 0:
        raise ValueError(f"entity id {ids.min()}: allowed are 0 and above")
    return ids


def check_distinct(ids: Int64) -> None:
    """Passes ids [B] that are all different.

    Raises:
        ValueError: naming an id that comes twice.
    """
    if (ids[1:] > ids[:-1]).all():  # ids mostly arrive in order
        return
    rising = np.sort(ids)
    twice = rising[1:] == rising[:-1]
    if twice.any():
        raise ValueError(f"entity id {rising[1:][twice][0]} comes twice: one row per id in a write")


def check_times(name: str, times: ArrayLike, count: int) -> int | Int64:
    """Returns a scalar time as int, or one time per row as int64 [B], in seconds.

    Raises:
        ValueError: unless they are non-negative integers, one or `count` of them.
    """
    if type(times) is int and 0 <= times <= _LAST:
        return times
    values = _integers(name, times)
    if values.ndim and values.shape != (count,):
        raise ValueError(f"{name} of shape {values.shape}: allowed is a scalar or [{count}]")
    if values.size and np.minimum.reduce(values, axis=None) < 0:
        raise ValueError(f"{name} {values.min()}: allowed are 0 seconds and above")
    return values if values.ndim else int(values)


def check_rows(
    view: FeatureView, rows: Mapping[str, ArrayLike], count: int
) -> dict[str, NDArray[Any]]:
    """Returns the columns of `count` rows in the view's dtypes, [B, *shape] each.

    Raises:
        ValueError: for a missing or unknown column, a dtype that does not cast safely, or a shape
            that is not the view's.
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
        where = f"column {name!r} of view {view.name!r}"
        if not np.can_cast(values.dtype, column.dtype, "safe"):
            raise ValueError(
                f"{where} has dtype {values.dtype}: allowed is what casts safely to {column.dtype}"
            )
        if values.shape != (count, *column.shape):
            raise ValueError(
                f"{where} has shape {values.shape}: allowed is {(count, *column.shape)}"
            )
        columns[name] = values.astype(column.dtype, copy=False)
    return columns


def check_no_password(url: str, options: Iterable[str], variable: str) -> SplitResult:
    """Returns a server's address, without what may hold secrets.

    Args:
        url: of the server.
        options: names of further settings.
        variable: the environment variable where a password belongs.

    Raises:
        ValueError: the address or an option holds a password; it is not repeated.
    """
    parts = urlsplit(url)
    asked = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    if parts.password is not None or any("password" in unquote(name) for name in asked):
        raise ValueError(f"the url holds a password; it belongs in ${variable}")
    if any("password" in name for name in options):
        raise ValueError(f"options hold a password; it belongs in ${variable}")
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="")


def _integers(name: str, values: ArrayLike) -> Int64:
    array = np.asarray(values)
    if array.dtype == np.int64:
        return array
    if array.dtype.kind not in "iu" or not np.can_cast(array.dtype, np.int64, "safe"):
        raise ValueError(f"{name} of dtype {array.dtype}: allowed are integers that fit int64")
    return array.astype(np.int64)
