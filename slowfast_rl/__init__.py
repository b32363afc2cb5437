"""Two-level reinforcement learning for messaging: a slow policy plans, a fast one sends."""

import importlib as _importlib
import typing as _typing

from slowfast_rl import envs, evaluation, fast, logs, ope, policies, slow, store
from slowfast_rl.agents import Agent, SinglePolicyAgent, SlowFastAgent, ThresholdAgent
from slowfast_rl.evaluation import EvaluationProtocol, compare
from slowfast_rl.fitting import Fit, FitSettings, fit
from slowfast_rl.members.beliefs import BeliefFilter
from slowfast_rl.members.loading import load_world, world_names
from slowfast_rl.members.observations import (
    opportunity_features,
    opportunity_observation,
    privileged_features,
    privileged_observation,
    weekly_features,
    weekly_observation,
)
from slowfast_rl.members.population import Population, branch
from slowfast_rl.members.threads import set_num_threads
from slowfast_rl.members.world import World
from slowfast_rl.policies import PlanRequest, PlanSource, Settings, register, setting
from slowfast_rl.store import FeatureHistory, InMemoryFeatureStore, PacingPlan

if _typing.TYPE_CHECKING:
    from slowfast_rl.evaluation import plots
    from slowfast_rl.members.frames import to_frame
    from slowfast_rl.store import RedisFeatureStore, SharedMemoryFeatureStore

__version__ = "0.1.0"

__all__ = [
    "Agent",
    "BeliefFilter",
    "EvaluationProtocol",
    "FeatureHistory",
    "Fit",
    "FitSettings",
    "InMemoryFeatureStore",
    "PacingPlan",
    "PlanRequest",
    "PlanSource",
    "Population",
    "RedisFeatureStore",
    "Settings",
    "SharedMemoryFeatureStore",
    "SinglePolicyAgent",
    "SlowFastAgent",
    "ThresholdAgent",
    "World",
    "branch",
    "compare",
    "envs",
    "evaluation",
    "fast",
    "fit",
    "load_world",
    "logs",
    "ope",
    "opportunity_features",
    "opportunity_observation",
    "plots",
    "policies",
    "privileged_features",
    "privileged_observation",
    "register",
    "set_num_threads",
    "setting",
    "slow",
    "to_frame",
    "weekly_features",
    "weekly_observation",
    "world_names",
]


def __getattr__(name: str) -> _typing.Any:
    if name in ("RedisFeatureStore", "SharedMemoryFeatureStore"):
        return getattr(store, name)  # what they need is imported when they are asked for
    if name == "plots":
        return _importlib.import_module("slowfast_rl.evaluation.plots")
    if name == "to_frame":
        return _importlib.import_module("slowfast_rl.members.frames").to_frame
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
