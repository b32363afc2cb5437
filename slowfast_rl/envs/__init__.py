"""Gymnasium faces of a population, the guard, and the execution of plans through the store."""

from gymnasium.envs.registration import register, registry

from slowfast_rl.envs.execution import Execution, Planner, PlanSource, Request
from slowfast_rl.envs.executor import Executor, JittedExecutor, default_executor
from slowfast_rl.envs.messaging import MessagingEnv, MessagingVectorEnv
from slowfast_rl.envs.pacing import PacingEnv, PacingVectorEnv
from slowfast_rl.envs.reader import PlanReader
from slowfast_rl.envs.sb3 import SB3VecEnv

__all__ = [
    "Execution",
    "Executor",
    "JittedExecutor",
    "MessagingEnv",
    "MessagingVectorEnv",
    "PacingEnv",
    "PacingVectorEnv",
    "PlanReader",
    "PlanSource",
    "Planner",
    "Request",
    "SB3VecEnv",
    "default_executor",
]

for _name in ("Messaging", "Pacing"):
    if f"slowfast_rl/{_name}-v0" not in registry:
        register(
            f"slowfast_rl/{_name}-v0",
            entry_point=f"slowfast_rl.envs:{_name}Env",
            vector_entry_point=f"slowfast_rl.envs:{_name}VectorEnv",
        )
