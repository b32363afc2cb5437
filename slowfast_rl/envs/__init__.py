"""Gymnasium environments over a population: single, vector, and for Stable-Baselines3."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gymnasium.envs.registration import register, registry

from slowfast_rl.envs.messaging import MessagingEnv, MessagingVectorEnv
from slowfast_rl.envs.pacing import PacingEnv, PacingVectorEnv

if TYPE_CHECKING:
    from slowfast_rl.envs.sb3 import SB3VecEnv

__all__ = [
    "MessagingEnv",
    "MessagingVectorEnv",
    "PacingEnv",
    "PacingVectorEnv",
    "SB3VecEnv",
]

for _name in ("Messaging", "Pacing"):
    if f"slowfast_rl/{_name}-v0" not in registry:
        register(
            f"slowfast_rl/{_name}-v0",
            entry_point=f"slowfast_rl.envs:{_name}Env",
            vector_entry_point=f"slowfast_rl.envs:{_name}VectorEnv",
        )


def __getattr__(name: str) -> Any:
    if name != "SB3VecEnv":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.sb3").SB3VecEnv  # imports torch, so only when asked for
