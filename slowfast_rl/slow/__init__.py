"""Slow policies: which pacing plan, this week, for each member."""

from slowfast_rl.slow.learner import FittedPlanner, LearningPlanner, SavedPlanner
from slowfast_rl.slow.ppo import PPOPlanner
from slowfast_rl.slow.rollouts import RolloutPlanner
from slowfast_rl.slow.segments import SegmentsPlanner
from slowfast_rl.slow.simple import DealtPlanner, FixedPlanner, PerMemberPlanner, RandomPlanner
from slowfast_rl.slow.utility import UtilityPlanner

__all__ = [
    "DealtPlanner",
    "FittedPlanner",
    "FixedPlanner",
    "LearningPlanner",
    "PPOPlanner",
    "PerMemberPlanner",
    "RandomPlanner",
    "RolloutPlanner",
    "SavedPlanner",
    "SegmentsPlanner",
    "UtilityPlanner",
]
