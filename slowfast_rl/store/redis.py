"""A feature store in Redis or Valkey, one value per row. It needs the extra ``redis``."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlunsplit

import numpy as np
from numpy.typing import ArrayLike

from slowfast_rl.members.arrays import Bool, Int64
from slowfast_rl.store.checks import check_ids, check_no_password, check_times
from slowfast_rl.store.protocol import OnlineResponse, StoreState, StoreUnavailableError
from slowfast_rl.store.records import RecordLayout, Records, is_intact, keys_of
from slowfast_rl.store.redis_scripts import WRITE_OVER, WRITE_STICKY
from slowfast_rl.store.rules import ABSENT, StoreCounters, accepts, horizon, validate_write
from slowfast_rl.store.state import ViewRows, pack_state, unpack_state
from slowfast_rl.store.views import FeatureView, registered, unknown_view

try:
    import redis as client_library
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ImportError as error:
    raise ImportError(
        "RedisFeatureStore needs redis-py: pip install 'slowfast_rl[redis]'"
    ) from error

_BATCH = 4096  # rows per command: a server executes one command at a time
_NAMESPACE = re.compile(r"[\w.-]*(\{[\w.-]+\})?[\w.-]*", re.ASCII)
_ID = re.compile(rb"0|[1-9][0-9]{0,18}")  # as `_keys` writes it
_MAX_ID = np.iinfo(np.int64).max
_MAX_TIMEOUT_SECONDS = 3600.0
# Errors that no waiting ends: the password, the rights or the address are wrong.
_MISCONFIGURED = (
    client_library.AuthenticationError,
    client_library.exceptions.AuthorizationError,
    client_library.exceptions.NoPermissionError,
    client_library.exceptions.MovedError,
    client_library.exceptions.AskError,
    client_library.exceptions.ClusterCrossSlotError,
)


class RedisFeatureStore:
    """A `FeatureStore` in a Redis or Valkey server, with one key ``namespace:view:id`` per row.

    Rows of sticky views are compared and written by one script per batch, so that several planners
    cannot overwrite each other's plans. Rows of other views are read, compared and then written, so
    each such view must have only one writer at a time. If the server cannot be reached, a call
    raises `StoreUnavailableError`; the next call tries again. Ages follow from stored stamps, never
    from the server's clock. A row that is damaged, or was written under another definition of its
    view or for another entity, reads as NOT_FOUND. Counters count rows in calls of this object.

    A server that refuses this object from its first call on, because of its password, its rights or
    its place in a cluster, is a mistake in the configuration and raises ValueError; one that begins
    to refuse later counts as unavailable. In a Redis cluster, the namespace contains a hash tag
    such as ``{members}``, so that all rows are in one slot, and the url names the node that has it.

    Args:
        url: ``redis://``, ``rediss://`` (TLS) or ``unix://`` as redis-py accepts it, without a
            password, which must not appear in configurations and logs.
        namespace: prefix of all keys: letters, digits, ``_ . -`` and at most one ``{hash tag}``.
            Use one per population and luck seed.
        password_variable: the environment variable that holds the password, if there is one.
        timeout_seconds: limit for connecting and for each response.
        options: further settings of redis-py's connections, such as ``ssl_ca_certs``;
            ``decode_responses`` is not allowed, because rows are bytes.

    Raises:
        ValueError: an argument is not allowed.
    """

    def __init__(
        self,
        url: str = "redis://localhost:6379/0",
        namespace: str = "slowfast",
        password_variable: str = "SLOWFAST_REDIS_PASSWORD",
        timeout_seconds: float = 0.5,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        if not namespace or not _NAMESPACE.fullmatch(namespace):
            raise ValueError(
                f"namespace {namespace!r}: allowed are letters, digits, _ . - and one {{hash tag}}"
            )
        if not 0 < timeout_seconds <= _MAX_TIMEOUT_SECONDS:
            raise ValueError(
                f"timeout_seconds is {timeout_seconds}; "
                f"allowed is above 0 and at most {_MAX_TIMEOUT_SECONDS:.0f}"
            )
        parts = check_no_password(url, options or {}, password_variable)
        self._address, self._prefix = parts.netloc or parts.path, f"{namespace}:"
        settings = {
            "password": os.environ.get(password_variable),
            "socket_timeout": timeout_seconds,
            "socket_connect_timeout": timeout_seconds,
            **dict(options or {}),
        }
        try:  # one retry, as a pooled connection may have been closed by a restarted server
            self._client = client_library.Redis.from_url(
                url, retry=Retry(NoBackoff(), 1), **settings
            )
            without_retry = client_library.Redis.from_url(
                url, retry=Retry(NoBackoff(), 0), **settings
            )
            pool = without_retry.connection_pool
            pool.connection_class(**pool.connection_kwargs)  # checks the options
            if pool.connection_kwargs.get("decode_responses"):
                raise ValueError("decode_responses is not allowed: rows are bytes")
        except (ValueError, TypeError) as error:
            raise ValueError(f"redis url {urlunsplit(parts)!r}: {error}") from error
        self._password_variable, self._answered = password_variable, False
        self._write_sticky = without_retry.register_script(WRITE_STICKY)
        self._write_over = without_retry.register_script(WRITE_OVER)
        self._client_without_retry = without_retry
        self._layouts: dict[str, RecordLayout] = {}
        self._counters = StoreCounters()

    @property
    def counters(self) -> Mapping[str, int]:
        """Numbers of rows so far in calls of this object; see `FeatureStore.counters`."""
        return self._counters.counters

    def apply(self, views: Iterable[FeatureView]) -> None:
        """Register views with this object; see `FeatureStore.apply`.

        Nothing is sent to the server: each row holds a fingerprint of its view.
        """
        wanted = registered({name: layout.view for name, layout in self._layouts.items()}, views)
        self._layouts = {
            name: self._layouts[name] if name in self._layouts else RecordLayout(view)
            for name, view in wanted.items()
        }

    def write_to_online_store(
        self,
        view: str,
        entity_ids: ArrayLike,
        rows: Mapping[str, ArrayLike],
        event_timestamp: ArrayLike,
    ) -> int:
        """Write one row per entity; see `FeatureStore.write_to_online_store`."""
        layout = self._layout(view)
        ids, values, stamps, clock = validate_write(layout.view, entity_ids, rows, event_timestamp)
        if layout.view.sticky_week:
            stored = np.full(len(ids), ABSENT)  # the script compares with the stored row
        else:
            records, present = self._read(layout, ids)
            stored = np.where(present, records["stamp"], ABSENT)
        accepted = accepts(layout.view, stamps, stored, clock)
        refused = len(ids) - int(accepted.sum())
        records = layout.pack(ids, values, stamps)
        refused += self._write(layout, ids[accepted], records[accepted], horizon(clock)[accepted])
        self._counters.count_refused(refused)
        return len(ids) - refused

    def get_online_features(
        self, view: str, entity_ids: ArrayLike, now: ArrayLike
    ) -> OnlineResponse:
        """Read one row per entity as of `now`; see `FeatureStore.get_online_features`."""
        layout = self._layout(view)
        ids = check_ids(entity_ids)
        times = check_times("now", now, len(ids))
        records, present = self._read(layout, ids)
        return self._counters.build_response(layout, records, present, times)

    def delete(self, view: str, entity_ids: ArrayLike) -> int:
        """Delete the rows of these entities; see `FeatureStore.delete`."""
        keys = self._keys(self._layout(view), np.unique(check_ids(entity_ids)))
        with self._translated_errors():
            return sum(self._client.unlink(*batch) for batch in _batches(keys))

    def snapshot(self) -> StoreState:
        """Return a copy of this object's views and counters, and of the views' rows.

        It may or may not contain rows that other processes write during the call.
        """
        rows = []
        for layout in self._layouts.values():
            ids = self._ids(layout)
            records, present = self._read(layout, ids)
            present &= records["stamp"] >= 0
            stamps = np.array(records["stamp"][present])
            rows.append(
                ViewRows(layout.view, ids[present], layout.values(records[present]), stamps)
            )
        return pack_state(rows, self.counters)

    def restore(self, state: StoreState) -> None:
        """Replace this object's views, rows and counters; see `FeatureStore.restore`."""
        contents, counters = unpack_state(state)
        layouts = {rows.view.name: RecordLayout(rows.view) for rows in contents}
        for name in {**self._layouts, **layouts}:
            layout = self._layouts.get(name) or layouts[name]
            keys = self._keys(layout, self._ids(layout))
            with self._translated_errors():
                for batch in _batches(keys):
                    self._client.unlink(*batch)
        self._layouts = layouts
        for rows in contents:
            layout = layouts[rows.view.name]
            ids = rows.entity_ids
            self._overwrite(layout, ids, layout.pack(ids, rows.values, rows.event_timestamp))
        self._counters.restore(counters)

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        self._client.close()
        self._client_without_retry.close()

    def __repr__(self) -> str:
        """Return the server's address and the namespace, without secrets."""
        return f"RedisFeatureStore({self._address!r}, namespace={self._prefix[:-1]!r})"

    def _layout(self, view: str) -> RecordLayout:
        """Return the layout of a registered view."""
        if view not in self._layouts:
            raise unknown_view(view, self._layouts)
        return self._layouts[view]

    def _keys(self, layout: RecordLayout, ids: Int64) -> list[str]:
        """Return the keys of the rows of ids [B]."""
        prefix = f"{self._prefix}{layout.view.name}:"
        return [f"{prefix}{entity}" for entity in ids.tolist()]

    def _ids(self, layout: RecordLayout) -> Int64:
        """Return the ids of all stored rows of a view in ascending order.

        Keys that this class does not write, which others may have put there, are left out.
        """
        prefix = f"{self._prefix}{layout.view.name}:"
        with self._translated_errors():
            found = set(self._client.scan_iter(f"{prefix}*", count=_BATCH))
        ends = [key[len(prefix) :] for key in found]
        numbers = [int(end) for end in ends if _ID.fullmatch(end)]
        return np.array(sorted(n for n in numbers if n <= _MAX_ID), np.int64)

    def _read(self, layout: RecordLayout, ids: Int64) -> tuple[Records, Bool]:
        """Return records [B] and which of them are present; absent ones are zeros."""
        size, nothing = layout.dtype.itemsize, bytes(layout.dtype.itemsize)
        found: list[Any] = []  # bytes, or None
        with self._translated_errors():
            for batch in _batches(self._keys(layout, ids)):
                found += self._client.mget(batch)
        packed = b"".join(
            [row if row is not None and len(row) == size else nothing for row in found]
        )
        records = np.frombuffer(bytearray(packed), layout.dtype)  # to be changed, unlike bytes
        present = layout.valid(records, keys_of(ids))
        if np.count_nonzero(present) < len(present):
            records[~present] = np.zeros((), layout.dtype)
        return records, present

    def _write(self, layout: RecordLayout, ids: Int64, records: Records, horizons: Int64) -> int:
        """Write records of ids [B] by the view's rule; return the number that was refused.

        Args:
            layout: of the records.
            ids: [B].
            records: [B].
            horizons: [B] the latest stamps that stored rows can rightly have.
        """
        if not layout.view.sticky_week:
            self._overwrite(layout, ids, records)
            return 0
        refused = 0
        keys, packed, ends = (
            self._keys(layout, ids),
            _packed(records),
            _packed(horizons.astype("<i8")),
        )
        with self._translated_errors():
            for first in range(0, len(keys), _BATCH):
                batch = slice(first, first + _BATCH)
                arguments = packed[batch] + ends[batch]
                count = int(self._write_sticky(keys=keys[batch], args=arguments))
                if count:
                    count -= self._repair(layout, ids[batch], packed[batch])
                refused += count
        return refused

    def _repair(self, layout: RecordLayout, ids: Int64, packed: list[bytes]) -> int:
        """Overwrite damaged rows of ids [B] whose stamp is intact; return their number.

        A row that was written under another definition of the view is not damaged.
        """
        damaged, arguments = [], []
        keys, entities = self._keys(layout, ids), keys_of(ids)
        found: list[Any] = list(self._client.mget(keys))  # bytes, or None
        for key, entity, new, old in zip(keys, entities, packed, found, strict=True):
            if old is not None and not is_intact(old, entity):
                damaged.append(key)
                arguments += [old, new]
        return int(self._write_over(keys=damaged, args=arguments)) if damaged else 0

    def _overwrite(self, layout: RecordLayout, ids: Int64, records: Records) -> None:
        """Write records of ids [B] whatever is stored."""
        keys, packed = self._keys(layout, ids), _packed(records)
        with self._translated_errors():
            for first in range(0, len(keys), _BATCH):
                batch = slice(first, first + _BATCH)
                self._client.mset(dict(zip(keys[batch], packed[batch], strict=True)))

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        """Raise the client's errors as `StoreUnavailableError`, or as ValueError if nothing helps.

        Their text is left out, because it may hold secrets.
        """
        try:
            yield
        except client_library.RedisError as error:
            what = f"Redis at {self._address}: {type(error).__name__}"
            if not self._answered and _is_misconfigured(error):
                raise ValueError(
                    f"{what}; needed are an address, a user and ${self._password_variable} "
                    "that the server accepts, and in a cluster the node of the namespace's hash tag"
                ) from error
            raise StoreUnavailableError(what) from error
        except OSError as error:
            raise StoreUnavailableError(f"Redis at {self._address}: {error.strerror}") from error
        self._answered = True


def _is_misconfigured(error: client_library.RedisError) -> bool:
    """Return whether the server refuses the address, the user or the password."""
    no_database = type(error) is client_library.ResponseError and "DB index" in str(error)
    return no_database or isinstance(error, _MISCONFIGURED)


def _packed(values: Records | Int64) -> list[bytes]:
    """Return little-endian values [B] as bytes."""
    raw, size = values.tobytes(), values.dtype.itemsize
    return [raw[i : i + size] for i in range(0, len(raw), size)]


def _batches(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield parts of at most _BATCH keys."""
    for first in range(0, len(keys), _BATCH):
        yield keys[first : first + _BATCH]
