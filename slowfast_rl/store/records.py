"""Rows packed as fixed-size records, for backends that other processes write to.

A record is a stamp, the stamp's complement, the key of its entity, a fingerprint of its view, the
columns and a checksum. With these a reader detects a row that a killed writer left half written,
that belongs to another entity or view, or that is damaged; such a row counts as absent.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slowfast_rl.members.arrays import Bool, Int64
from slowfast_rl.store.views import FeatureView

Records = NDArray[np.void]  # [B] of a layout's dtype
Words = NDArray[np.uint64]

WORD = 8  # bytes
KEY_WORD, _FINGERPRINT_WORD = 2, 3  # indices among a record's words
_MAX_BYTES = 1 << 20  # of a record under a definition that is not known
_LAYOUT_VERSION = 2  # enters the fingerprint: rows of another version count as absent
_ONE = np.uint64(1)
_GOLDEN = 0x9E3779B97F4A7C15


class RecordLayout:
    """How the rows of one view are packed.

    Args:
        view: the view; every property of it enters the fingerprint of its rows.
    """

    def __init__(self, view: FeatureView) -> None:
        self.view = view
        content = view.to_json() | {"layout_version": _LAYOUT_VERSION}
        described = json.dumps(content, sort_keys=True).encode()
        self.fingerprint = np.frombuffer(sha256(described).digest(), np.uint64)[0]
        # Added to checksums: rows of another view are invalid, and so is a record of zeros.
        self._seed = _seed(self.fingerprint)
        names = ["stamp", "complement", "key", "fingerprint"]
        types: list[Any] = ["<i8", "<i8", "<u8", "<u8"]
        offsets, end = [0, WORD, KEY_WORD * WORD, 3 * WORD], 4 * WORD
        # The widest columns come first, so that every column is aligned.
        for name, column in sorted(
            view.columns.items(), key=lambda item: -np.dtype(item[1].dtype).itemsize
        ):
            kind = np.dtype((np.dtype(column.dtype).newbyteorder("<"), column.shape))
            names.append(f"column_{name}")
            types.append(kind)
            offsets.append(end)
            end += kind.itemsize
        if end % WORD:  # as a field: NumPy does not copy gaps between fields
            names.append("padding")
            types.append(("u1", -end % WORD))
            offsets.append(end)
            end += -end % WORD
        self.dtype = np.dtype(
            {
                "names": [*names, "checksum"],
                "formats": [*types, "<u8"],
                "offsets": [*offsets, end],
                "itemsize": end + WORD,
            }
        )
        self.num_words = self.dtype.itemsize // WORD
        self._weights = _weights(self.num_words - 1)
        self._columns = [  # name, field of a record, type
            (name, f"column_{name}", np.dtype(column.dtype))
            for name, column in view.columns.items()
        ]

    def pack(self, ids: Int64, values: Mapping[str, NDArray[Any]], stamps: Int64) -> Records:
        """Return rows [B, *shape] of ids [B] with their stamps [B] as records [B]."""
        records = np.zeros(len(stamps), self.dtype)
        records["stamp"], records["complement"] = stamps, ~stamps
        records["key"], records["fingerprint"] = keys_of(ids), self.fingerprint
        for name in self.view.columns:
            records[f"column_{name}"] = values[name]
        records["checksum"] = self._checksum(self.words(records))
        return records

    def valid(self, records: Records, keys: Words) -> Bool:
        """Return which records [B] are intact, of this layout and of the entities of keys [B]."""
        intact = self._checksum(self.words(records)) == records["checksum"]
        return np.asarray(intact & (records["key"] == keys))

    def values(self, records: Records) -> dict[str, NDArray[Any]]:
        """Return copies of the columns of records [B], [B, *shape] each, in the view's dtypes."""
        return {name: records[field].astype(dtype) for name, field, dtype in self._columns}

    def words(self, records: Records) -> Words:
        """Return a view of records [B] as words [B, W]."""
        return records.view(np.uint64).reshape(len(records), self.num_words)

    def _checksum(self, words: Words) -> Words:
        weighed: Words = words[:, :-1] @ self._weights
        return np.asarray(weighed + self._seed)


def is_intact(record: bytes, key: np.uint64) -> bool:
    """Return whether bytes are an intact record of an entity, under any definition of its view."""
    if len(record) % WORD or not (_FINGERPRINT_WORD + 1) * WORD < len(record) <= _MAX_BYTES:
        return False
    words = np.frombuffer(record, "<u8")
    weighed = words[None, :-1] @ _weights(len(words) - 1) + _seed(words[_FINGERPRINT_WORD])
    return bool(words[KEY_WORD] == key and weighed[0] == words[-1])


def _seed(fingerprint: np.uint64) -> np.uint64:
    """Return what is added to the checksums of a view."""
    return fingerprint | np.uint64(1)


def row_bytes(view: FeatureView) -> int:
    """Return the bytes of the columns of one row."""
    return sum(np.dtype(c.dtype).itemsize * prod(c.shape) for c in view.columns.values())


def keys_of(ids: Int64) -> Words:
    """Return the keys [B] of ids [B], none of which is 0."""
    return ids.view(np.uint64) + _ONE


@lru_cache(maxsize=64)
def _weights(count: int) -> Words:
    """Return odd pseudo-random weights [W] by splitmix64 (Steele, Lea & Flood 2014).

    As weights are odd, a change of one word always changes the checksum; as they are random,
    changes of several words almost never cancel.
    """
    weights: list[int] = []
    for i in range(1, count + 1):
        z = i * _GOLDEN % 2**64
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
        weights.append((z ^ z >> 31) | 1)
    return np.array(weights, np.uint64)
