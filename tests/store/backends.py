"""The backends under test: a new one is a new line here."""

from collections.abc import Callable
from uuid import uuid4

from slowfast_rl.store import FeatureStore, InMemoryFeatureStore, SharedMemoryFeatureStore
from tests.store.redis_server import shared_server

MakeStore = Callable[[], FeatureStore]


def in_redis() -> FeatureStore:
    from slowfast_rl.store import RedisFeatureStore

    return RedisFeatureStore(shared_server().url, namespace=uuid4().hex, timeout_seconds=10)


BACKENDS: dict[str, MakeStore] = {
    "memory": InMemoryFeatureStore,
    "shared": SharedMemoryFeatureStore,
    "redis": in_redis,
}
