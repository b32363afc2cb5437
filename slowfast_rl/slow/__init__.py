"""Slow policies: which pacing plan, this week, for each member."""

from slowfast_rl.slow.learner import LearningPlanner, SavedPlanner
from slowfast_rl.slow.ppo import PPOPlanner
from slowfast_rl.slow.rollouts import RolloutPlanner
from slowfast_rl.slow.simple import DealtPlanner, FixedPlanner, PerMemberPlanner, RandomPlanner
from slowfast_rl.slow.smdp import option_target

__all__ = [
    "DealtPlanner",
    "FixedPlanner",
    "LearningPlanner",
    "PPOPlanner",
    "PerMemberPlanner",
    "RandomPlanner",
    "RolloutPlanner",
    "SavedPlanner",
    "option_target",
]
