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
from slowfast_rl.store.records import RecordLayout, Records
from slowfast_rl.store.redis_scripts import WRITE_OVER, WRITE_STICKY
from slowfast_rl.store.rules import ABSENT, StoreCounters, accepts, validate_write
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
_NAMESPACE = re.compile(r"[A-Za-z0-9_.-]+")


class RedisFeatureStore:
    """A `FeatureStore` in a Redis or Valkey server, with one key ``namespace:view:id`` per row.

    Rows of sticky views are compared and written by one script per batch, so that several planners
    cannot overwrite each other's plans. Rows of other views are read, compared and then written, so
    each such view must have only one writer at a time. If the server cannot be reached, a call
    raises `StoreUnavailableError`; the next call tries again. Ages follow from stored stamps, never
    from the server's clock. A row that is damaged, or was written under another definition of its
    view, reads as NOT_FOUND. Counters count rows in calls of this object.

    Args:
        url: ``redis://``, ``rediss://`` (TLS) or ``unix://`` as redis-py accepts it, without a
            password, which must not appear in configurations and logs.
        namespace: prefix of all keys; use one per population and luck seed.
        password_variable: the environment variable that holds the password, if there is one.
        timeout_seconds: limit for connecting and for each response.
        options: further settings of redis-py's connections, such as ``ssl_ca_certs``.

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
        if not _NAMESPACE.fullmatch(namespace):
            raise ValueError(f"namespace {namespace!r}: allowed are letters, digits and _ . -")
        if timeout_seconds <= 0:
            raise ValueError(f"timeout_seconds is {timeout_seconds}; allowed is above 0")
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
            without_retry.connection_pool.make_connection()  # checks the options
        except (ValueError, TypeError) as error:
            raise ValueError(f"redis url {urlunsplit(parts)!r}: {error}") from error
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
        refused += self._write(layout, ids[accepted], layout.pack(values, stamps)[accepted])
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
            self._overwrite(layout, rows.entity_ids, layout.pack(rows.values, rows.event_timestamp))
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
        """Return the ids of all stored rows of a view in ascending order."""
        prefix = f"{self._prefix}{layout.view.name}:"
        with self._translated_errors():
            found = {key.decode() for key in self._client.scan_iter(f"{prefix}*", count=_BATCH)}
        numbers = [key[len(prefix) :] for key in found]
        return np.array(sorted(int(n) for n in numbers if n.isdecimal()), np.int64)

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
        records = np.frombuffer(packed, layout.dtype).copy()
        present = layout.valid(records)
        if not present.all():
            records[~present] = np.zeros((), layout.dtype)
        return records, present

    def _write(self, layout: RecordLayout, ids: Int64, records: Records) -> int:
        """Write records of ids [B] by the view's rule; return the number that was refused."""
        if not layout.view.sticky_week:
            self._overwrite(layout, ids, records)
            return 0
        refused = 0
        keys, packed = self._keys(layout, ids), _packed(records)
        with self._translated_errors():
            for first in range(0, len(keys), _BATCH):
                batch = slice(first, first + _BATCH)
                count = int(self._write_sticky(keys=keys[batch], args=packed[batch]))
                if count:
                    count -= self._repair(layout, keys[batch], packed[batch])
                refused += count
        return refused

    def _repair(self, layout: RecordLayout, keys: list[str], packed: list[bytes]) -> int:
        """Overwrite damaged rows whose stamp is intact; return their number."""
        damaged, arguments, size = [], [], layout.dtype.itemsize
        found: list[Any] = list(self._client.mget(keys))  # bytes, or None
        for key, new, old in zip(keys, packed, found, strict=True):
            if old is None or len(old) != size:
                continue
            record = np.frombuffer(old, layout.dtype)
            if record["fingerprint"][0] == layout.fingerprint and not layout.valid(record)[0]:
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
        """Raise the client's errors as `StoreUnavailableError`.

        Their text is left out, because it may hold secrets.
        """
        try:
            yield
        except client_library.RedisError as error:
            raise StoreUnavailableError(
                f"Redis at {self._address}: {type(error).__name__}"
            ) from error


def _packed(records: Records) -> list[bytes]:
    """Return records [B] as bytes."""
    raw, size = records.tobytes(), records.dtype.itemsize
    return [raw[i : i + size] for i in range(0, len(raw), size)]


def _batches(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield parts of at most _BATCH keys."""
    for first in range(0, len(keys), _BATCH):
        yield keys[first : first + _BATCH]
