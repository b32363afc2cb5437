"""Slow policies, which choose the pacing plan of the week for each member."""

from slowfast_rl.policies.contracts import BasePlanner
from slowfast_rl.slow.cql import CQLPlanner
from slowfast_rl.slow.ppo import PPOPlanner
from slowfast_rl.slow.rollouts import RolloutPlanner
from slowfast_rl.slow.segments import SegmentsPlanner
from slowfast_rl.slow.simple import DealtPlanner, FixedPlanner, PerMemberPlanner, RandomPlanner
from slowfast_rl.slow.utility import UtilityPlanner

__all__ = [
    "BasePlanner",
    "CQLPlanner",
    "DealtPlanner",
    "FixedPlanner",
    "PPOPlanner",
    "PerMemberPlanner",
    "RandomPlanner",
    "RolloutPlanner",
    "SegmentsPlanner",
    "UtilityPlanner",
]
