"""What all policies share: contracts, plan exchange, plan reader, guard, default executor."""

from slowfast_rl.policies.component import Component
from slowfast_rl.policies.contracts import (
    BaseExecutor,
    BasePacer,
    BasePlanner,
    BaseRanker,
    Executor,
    PlanRequest,
)
from slowfast_rl.policies.executor import JittedExecutor, default_executor
from slowfast_rl.policies.plan_exchange import PlanExchange, PlanSource
from slowfast_rl.policies.plan_reader import PlanReader
from slowfast_rl.policies.registry import register
from slowfast_rl.policies.settings import Settings, setting

__all__ = [
    "BaseExecutor",
    "BasePacer",
    "BasePlanner",
    "BaseRanker",
    "Component",
    "Executor",
    "JittedExecutor",
    "PlanExchange",
    "PlanReader",
    "PlanRequest",
    "PlanSource",
    "Settings",
    "default_executor",
    "register",
    "setting",
]
