"""The stores that processes share, with bits of their rows flipped as no writer would."""

from pathlib import Path

import numpy as np
import redis

from slowfast_rl.store import RedisFeatureStore, SharedMemoryFeatureStore
from slowfast_rl.store.records import keys_of
from tests.store.redis_server import RedisServer
from tests.waiting import HANG_SECONDS

Draws = np.random.Generator


class Redis:
    """A server of its own, and how its rows are damaged."""

    def __init__(self, _: Path) -> None:
        self.server = RedisServer()
        self.arguments = (
            "store=redis", f"store.url={self.server.url}", f"store.timeout_seconds={HANG_SECONDS}"
        )  # fmt: skip
        self.store = RedisFeatureStore(self.server.url, timeout_seconds=HANG_SECONDS)
        self.lock: Path | None = None  # there is none
        self._client = redis.Redis.from_url(self.server.url)

    def flip_bits(self, view: str, members: np.ndarray, draws: Draws) -> None:
        for member in members.tolist():
            row = bytearray(self._client.get(f"slowfast:{view}:{member}"))
            row[int(draws.integers(len(row)))] ^= 1 << int(draws.integers(8))
            self._client.set(f"slowfast:{view}:{member}", bytes(row))

    def close(self) -> None:
        self.store.close()
        self._client.close()
        self.server.kill()


class Shared:
    """A store in shared memory, and how its rows are damaged."""

    def __init__(self, folder: Path) -> None:
        self.arguments = ("store=shared", "store.name=faults", f"store.folder={folder}")
        self.store = SharedMemoryFeatureStore("faults", folder)
        self.lock: Path | None = self.store.path

    def flip_bits(self, view: str, members: np.ndarray, draws: Draws) -> None:
        self.store._refresh()
        table = self.store._tables[view]
        for slot in table._find(keys_of(members)).tolist():
            word = 1 + int(draws.integers(table.layout.num_words))  # the first is no part of a row
            table._slots[slot, word] ^= np.uint64(1 << int(draws.integers(64)))

    def close(self) -> None:
        pass
