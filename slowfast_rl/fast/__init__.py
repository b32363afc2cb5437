"""Fast policies: which message, now, within the plan that the store holds."""

from slowfast_rl.fast.affinity import AffinityRanker
from slowfast_rl.fast.executor import ExactPacer, Executor, Pacer, QualityRanker, Ranker

__all__ = ["AffinityRanker", "ExactPacer", "Executor", "Pacer", "QualityRanker", "Ranker"]
