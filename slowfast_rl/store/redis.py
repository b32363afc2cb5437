"""The feature store in Redis or Valkey: one packed value per row. Needs the extra ``redis``."""

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
from slowfast_rl.store.records import RecordForm, Records
from slowfast_rl.store.redis_scripts import WRITE_OVER, WRITE_STICKY
from slowfast_rl.store.rules import ABSENT, StoreCounters, accepts, incoming
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

_BATCH = 4096  # rows in a command: the server does nothing else meanwhile
_NAMESPACE = re.compile(r"[A-Za-z0-9_.-]+")


class RedisFeatureStore:
    """A `FeatureStore` in a Redis or Valkey server, one key ``namespace:view:id`` for each row.

    Plans are written by one script per batch, so that several planners never overwrite each
    other's first write. Rows of other views are compared and written in two steps: each such view
    has one writer at a time. A server that cannot be reached raises `StoreUnavailableError` at
    once; the next call tries again. Ages follow from stored stamps, never from the server's clock.
    A row that is damaged, or was written under another form of its view, reads as NOT_FOUND.
    Counters are those of this object.

    Args:
        url: ``redis://``, ``rediss://`` (TLS) or ``unix://``, as redis-py takes them, without a
            password: configurations and logs are no place for one.
        namespace: of all keys; one for each population under one luck.
        password_variable: the environment variable that holds the password, if there is one.
        timeout_seconds: for connecting and for each answer.
        options: further settings of redis-py's connections, such as ``ssl_ca_certs``.

    Raises:
        ValueError: an argument is outside what is allowed.
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
        self._where, self._prefix = parts.netloc or parts.path, f"{namespace}:"
        settings = {
            "password": os.environ.get(password_variable),
            "socket_timeout": timeout_seconds,
            "socket_connect_timeout": timeout_seconds,
            **dict(options or {}),
        }
        try:  # once more where a connection died with the last server
            self._client = client_library.Redis.from_url(
                url, retry=Retry(NoBackoff(), 1), **settings
            )
            once = client_library.Redis.from_url(url, retry=Retry(NoBackoff(), 0), **settings)
            once.connection_pool.make_connection()  # shows an unknown option; sends nothing
        except (ValueError, TypeError) as error:
            raise ValueError(f"redis url {urlunsplit(parts)!r}: {error}") from error
        self._write_sticky = once.register_script(WRITE_STICKY)
        self._write_over = once.register_script(WRITE_OVER)
        self._once = once
        self._forms: dict[str, RecordForm] = {}
        self._tally = StoreCounters()

    @property
    def counters(self) -> Mapping[str, int]:
        """Rows so far through this object: refused_writes, stale_reads and not_found_reads."""
        return self._tally.counters

    def apply(self, views: Iterable[FeatureView]) -> None:
        """Registers views with this object; see `FeatureStore.apply`.

        Nothing is sent: a row tells its view's form, and other forms' rows are not found.
        """
        wanted = registered({name: form.view for name, form in self._forms.items()}, views)
        self._forms = {
            name: self._forms[name] if name in self._forms else RecordForm(view)
            for name, view in wanted.items()
        }

    def write_to_online_store(
        self,
        view: str,
        entity_ids: ArrayLike,
        rows: Mapping[str, ArrayLike],
        event_timestamp: ArrayLike,
    ) -> int:
        """Writes one row per entity; see `FeatureStore.write_to_online_store`."""
        form = self._form(view)
        ids, values, stamps, clock = incoming(form.view, entity_ids, rows, event_timestamp)
        if form.view.sticky_week:
            stored = np.full(len(ids), ABSENT)  # the script compares with what is there
        else:
            records, there = self._read(form, ids)
            stored = np.where(there, records["stamp"], ABSENT)
        accepted = accepts(form.view, stamps, stored, clock)
        refused = len(ids) - int(accepted.sum())
        refused += self._write(form, ids[accepted], form.pack(values, stamps)[accepted])
        self._tally.refused(refused)
        return len(ids) - refused

    def get_online_features(
        self, view: str, entity_ids: ArrayLike, now: ArrayLike
    ) -> OnlineResponse:
        """Reads one row per entity as of `now`; see `FeatureStore.get_online_features`."""
        form = self._form(view)
        ids = check_ids(entity_ids)
        times = check_times("now", now, len(ids))
        records, there = self._read(form, ids)
        return self._tally.build_response(form, records, there, times)

    def delete(self, view: str, entity_ids: ArrayLike) -> int:
        """Forgets the rows of these entities; see `FeatureStore.delete`."""
        keys = self._keys(self._form(view), np.unique(check_ids(entity_ids)))
        with self._reached():
            return sum(self._client.unlink(*batch) for batch in _batches(keys))

    def snapshot(self) -> StoreState:
        """Returns a copy of this object's views and counters, and of all their rows.

        Rows that others write meanwhile may or may not be in it.
        """
        rows = []
        for form in self._forms.values():
            ids = self._ids(form)
            records, there = self._read(form, ids)
            stamps = np.array(records["stamp"][there])
            rows.append(ViewRows(form.view, ids[there], form.values(records[there]), stamps))
        return pack_state(rows, self.counters)

    def restore(self, state: StoreState) -> None:
        """Replaces this object's views, rows and counters; see `FeatureStore.restore`."""
        contents, counters = unpack_state(state)
        forms = {rows.view.name: RecordForm(rows.view) for rows in contents}
        for name in {**self._forms, **forms}:
            form = self._forms.get(name) or forms[name]
            keys = self._keys(form, self._ids(form))
            with self._reached():
                for batch in _batches(keys):
                    self._client.unlink(*batch)
        self._forms = forms
        for rows in contents:
            form = forms[rows.view.name]
            self._set(form, rows.entity_ids, form.pack(rows.values, rows.event_timestamp))
        self._tally.restore(counters)

    def close(self) -> None:
        """Closes the connections; the next call opens new ones."""
        self._client.close()
        self._once.close()

    def __repr__(self) -> str:
        """Tells where the server is, and no secret."""
        return f"RedisFeatureStore({self._where!r}, namespace={self._prefix[:-1]!r})"

    def _form(self, view: str) -> RecordForm:
        if view not in self._forms:
            raise unknown_view(view, self._forms)
        return self._forms[view]

    def _keys(self, form: RecordForm, ids: Int64) -> list[str]:
        prefix = f"{self._prefix}{form.view.name}:"
        return [f"{prefix}{entity}" for entity in ids.tolist()]

    def _ids(self, form: RecordForm) -> Int64:
        """Return the ids of all stored rows of a view, rising."""
        prefix = f"{self._prefix}{form.view.name}:"
        with self._reached():
            found = {key.decode() for key in self._client.scan_iter(f"{prefix}*", count=_BATCH)}
        numbers = [key[len(prefix) :] for key in found]
        return np.array(sorted(int(n) for n in numbers if n.isdecimal()), np.int64)

    def _read(self, form: RecordForm, ids: Int64) -> tuple[Records, Bool]:
        """Return records [B] and which there are; the others are zeros."""
        size, nothing = form.dtype.itemsize, bytes(form.dtype.itemsize)
        found: list[Any] = []  # bytes, or None
        with self._reached():
            for batch in _batches(self._keys(form, ids)):
                found += self._client.mget(batch)
        packed = b"".join(
            [row if row is not None and len(row) == size else nothing for row in found]
        )
        records = np.frombuffer(packed, form.dtype).copy()
        there = form.valid(records)
        if not there.all():
            records[~there] = np.zeros((), form.dtype)
        return records, there

    def _write(self, form: RecordForm, ids: Int64, records: Records) -> int:
        """Write records of ids [B] by the view's rule; return how many the server refused."""
        if not form.view.sticky_week:
            self._set(form, ids, records)
            return 0
        refused = 0
        keys, packed = self._keys(form, ids), _packed(records)
        with self._reached():
            for first in range(0, len(keys), _BATCH):
                batch = slice(first, first + _BATCH)
                count = int(self._write_sticky(keys=keys[batch], args=packed[batch]))
                if count:
                    count -= self._mend(form, keys[batch], packed[batch])
                refused += count
        return refused

    def _mend(self, form: RecordForm, keys: list[str], packed: list[bytes]) -> int:
        """Write over rows that are damaged though their stamp is whole; return how many."""
        places, arguments, size = [], [], form.dtype.itemsize
        found: list[Any] = list(self._client.mget(keys))  # bytes, or None
        for key, new, old in zip(keys, packed, found, strict=True):
            if old is None or len(old) != size:
                continue
            record = np.frombuffer(old, form.dtype)
            if record["form"][0] == form.number and not form.valid(record)[0]:
                places.append(key)
                arguments += [old, new]
        return int(self._write_over(keys=places, args=arguments)) if places else 0

    def _set(self, form: RecordForm, ids: Int64, records: Records) -> None:
        keys, packed = self._keys(form, ids), _packed(records)
        with self._reached():
            for first in range(0, len(keys), _BATCH):
                batch = slice(first, first + _BATCH)
                self._client.mset(dict(zip(keys[batch], packed[batch], strict=True)))

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """Turn the client's errors into the store's, without what only the client should know."""
        try:
            yield
        except client_library.RedisError as error:
            raise StoreUnavailableError(
                f"Redis at {self._where}: {type(error).__name__}"
            ) from error


def _packed(records: Records) -> list[bytes]:
    """Return records [B] as bytes."""
    raw, size = records.tobytes(), records.dtype.itemsize
    return [raw[i : i + size] for i in range(0, len(raw), size)]


def _batches(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(keys), _BATCH):
        yield keys[first : first + _BATCH]
