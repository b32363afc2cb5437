"""The feature store: the one channel between the slow policy and the fast one."""

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

__all__ = [
    "PLANS",
    "UNIFORM_SHAPE",
    "Column",
    "FeatureStore",
    "FeatureView",
    "InMemoryFeatureStore",
    "OnlineResponse",
    "PacingPlan",
    "Status",
    "StoreState",
    "StoreUnavailableError",
    "pacing_plan",
    "plan_view",
    "read_plans",
    "write_plans",
]
