"""The backends under test: a new one is a new line here."""

from collections.abc import Callable

from slowfast_rl.store import FeatureStore, InMemoryFeatureStore, SharedMemoryFeatureStore

MakeStore = Callable[[], FeatureStore]

BACKENDS: dict[str, MakeStore] = {
    "memory": InMemoryFeatureStore,
    "shared": SharedMemoryFeatureStore,
}
