"""What every policy shares: contracts, plan exchange through the store, guard, default executor."""

from slowfast_rl.policies.executor import Executor, JittedExecutor, default_executor
from slowfast_rl.policies.plan_exchange import PlanExchange, Planner, PlanRequest, PlanSource
from slowfast_rl.policies.plan_reader import PlanReader

__all__ = [
    "Executor",
    "JittedExecutor",
    "PlanExchange",
    "PlanReader",
    "PlanRequest",
    "PlanSource",
    "Planner",
    "default_executor",
]
