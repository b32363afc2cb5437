"""The feature store, through which the slow policy passes plans to the fast policy."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from slowfast_rl.store.history import FeatureHistory
from slowfast_rl.store.memory import InMemoryFeatureStore
from slowfast_rl.store.plans import (
    PLANS,
    UNIFORM_SHAPE,
    PacingPlan,
    pacing_plan,
    plan_view,
    read_plans,
    write_plans,
)
from slowfast_rl.store.protocol import (
    FeatureStore,
    OnlineResponse,
    Status,
    StoreState,
    StoreUnavailableError,
)
from slowfast_rl.store.views import Column, FeatureView

if TYPE_CHECKING:
    from slowfast_rl.store.redis import RedisFeatureStore
    from slowfast_rl.store.shared import SharedMemoryFeatureStore

__all__ = [
    "PLANS",
    "UNIFORM_SHAPE",
    "Column",
    "FeatureHistory",
    "FeatureStore",
    "FeatureView",
    "InMemoryFeatureStore",
    "OnlineResponse",
    "PacingPlan",
    "RedisFeatureStore",
    "SharedMemoryFeatureStore",
    "Status",
    "StoreState",
    "StoreUnavailableError",
    "pacing_plan",
    "plan_view",
    "read_plans",
    "write_plans",
]

_LAZY = {  # imported on first use: they need Redis's client, or POSIX file locks
    "RedisFeatureStore": "redis",
    "SharedMemoryFeatureStore": "shared",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
