"""How long planners train: the training budget that both rooms share."""

from slowfast_rl.envs.budget import Budget, Progress, check_budget

__all__ = ["Budget", "Progress", "check_budget"]
