"""Evaluation of agents: twins, reference policies, the leaderboard and its curves."""

from slowfast_rl.evaluation.contestants import Contestant, agent_contestants
from slowfast_rl.evaluation.leaderboard import Leaderboard, compare
from slowfast_rl.evaluation.protocol import EvaluationProtocol
from slowfast_rl.evaluation.references import References, compute_references, load_references
from slowfast_rl.evaluation.statistics import Interval, mean_interval, ratio_interval
from slowfast_rl.evaluation.tables import markdown
from slowfast_rl.evaluation.twins import Rollout, Twins

__all__ = [
    "Contestant",
    "EvaluationProtocol",
    "Interval",
    "Leaderboard",
    "References",
    "Rollout",
    "Twins",
    "agent_contestants",
    "compare",
    "compute_references",
    "load_references",
    "markdown",
    "mean_interval",
    "ratio_interval",
]
