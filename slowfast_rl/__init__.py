"""Two-level reinforcement learning for messaging: a slow policy plans, a fast one sends."""

from slowfast_rl import envs, evaluation, fast, slow
from slowfast_rl.agents import FlatPPOAgent, SlowFastAgent, ThresholdAgent
from slowfast_rl.envs import PlanSource
from slowfast_rl.evaluation import Protocol, compare
from slowfast_rl.members.beliefs import BeliefFilter
from slowfast_rl.members.branching import branch
from slowfast_rl.members.loading import load_world, world_names
from slowfast_rl.members.population import Population
from slowfast_rl.members.signals import (
    privileged_features,
    slot_features,
    slot_signals,
    week_features,
    week_signals,
)
from slowfast_rl.members.world import World
from slowfast_rl.store import InMemoryFeatureStore, PacingPlan

__version__ = "0.1.0"

__all__ = [
    "BeliefFilter",
    "FlatPPOAgent",
    "InMemoryFeatureStore",
    "PacingPlan",
    "PlanSource",
    "Population",
    "Protocol",
    "SlowFastAgent",
    "ThresholdAgent",
    "World",
    "branch",
    "compare",
    "envs",
    "evaluation",
    "fast",
    "load_world",
    "privileged_features",
    "slot_features",
    "slot_signals",
    "slow",
    "week_features",
    "week_signals",
    "world_names",
]
