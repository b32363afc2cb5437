"""Rows packed as fixed-size records, for backends that other processes write to.

A record is a stamp, the stamp's complement, a fingerprint of its view, the columns and a checksum.
With these a reader detects a row that a killed writer left half written, that belongs to another
view, or that is damaged; such a row counts as absent.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slowfast_rl.members.arrays import Bool, Int64
from slowfast_rl.store.views import FeatureView

Records = NDArray[np.void]  # [B] of a layout's dtype
Words = NDArray[np.uint64]

WORD = 8  # bytes
_SEED = np.uint64(0x9E3779B97F4A7C15)  # added to checksums, so that a record of zeros is invalid
_GOLDEN = 0x9E3779B97F4A7C15


class RecordLayout:
    """How the rows of one view are packed.

    Args:
        view: the view; every property of it enters the fingerprint of its rows.
    """

    def __init__(self, view: FeatureView) -> None:
        self.view = view
        described = json.dumps(view.to_json(), sort_keys=True).encode()
        self.fingerprint = np.frombuffer(sha256(described).digest(), np.uint64)[0]
        names = ["stamp", "complement", "fingerprint"]
        types: list[Any] = ["<i8", "<i8", "<u8"]
        offsets, end = [0, WORD, 2 * WORD], 3 * WORD
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

    def pack(self, values: Mapping[str, NDArray[Any]], stamps: Int64) -> Records:
        """Return rows [B, *shape] with their stamps [B] as records [B]."""
        records = np.zeros(len(stamps), self.dtype)
        records["stamp"], records["complement"] = stamps, ~stamps
        records["fingerprint"] = self.fingerprint
        for name in self.view.columns:
            records[f"column_{name}"] = values[name]
        records["checksum"] = self._checksum(self.words(records))
        return records

    def valid(self, records: Records) -> Bool:
        """Return which records [B] are intact and of this layout."""
        intact = self._checksum(self.words(records)) == records["checksum"]
        return np.asarray(intact & (records["fingerprint"] == self.fingerprint))

    def values(self, records: Records) -> dict[str, NDArray[Any]]:
        """Return copies of the columns of records [B], [B, *shape] each, in the view's dtypes."""
        return {
            name: np.array(records[f"column_{name}"], column.dtype)
            for name, column in self.view.columns.items()
        }

    def words(self, records: Records) -> Words:
        """Return a view of records [B] as words [B, W]."""
        return records.view(np.uint64).reshape(len(records), self.num_words)

    def _checksum(self, words: Words) -> Words:
        weighed: Words = words[:, :-1] @ self._weights
        return weighed + _SEED


def _weights(count: int) -> Words:
    """Return odd pseudo-random weights [W] by splitmix64 (Steele, Lea & Flood 2014).

    As weights are odd, a change of one word always changes the checksum; as they are random,
    changes of several words almost never cancel.
    """
    weights = []
    for i in range(1, count + 1):
        z = i * _GOLDEN % 2**64
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
        weights.append((z ^ z >> 31) | 1)
    return np.array(weights, np.uint64)
