"""The backends under test: a new one is a new line here."""

from collections.abc import Callable
from uuid import uuid4

from slowfast_rl.store import FeatureStore, InMemoryFeatureStore, SharedMemoryFeatureStore
from tests.store.redis_server import shared_server
from tests.waiting import HANG_SECONDS

MakeStore = Callable[[], FeatureStore]


def in_redis() -> FeatureStore:
    from slowfast_rl.store import RedisFeatureStore

    url, namespace = shared_server().url, uuid4().hex
    return RedisFeatureStore(url, namespace, timeout_seconds=HANG_SECONDS)


BACKENDS: dict[str, MakeStore] = {
    "memory": InMemoryFeatureStore,
    "shared": SharedMemoryFeatureStore,
    "redis": in_redis,
}
