"""Fast policies: which message, now, within the plan that the store holds."""

from slowfast_rl.fast.affinity import AffinityRanker
from slowfast_rl.fast.bid_price import BidPricePacer
from slowfast_rl.fast.coin import CoinPacer
from slowfast_rl.fast.executor import (
    ExactPacer,
    LearningRanker,
    PacedExecutor,
    Pacer,
    QualityRanker,
    Ranker,
)
from slowfast_rl.fast.ppo import PPOExecutor
from slowfast_rl.fast.threshold import ThresholdPacer
from slowfast_rl.fast.uplift import UpliftRanker

__all__ = [
    "AffinityRanker",
    "BidPricePacer",
    "CoinPacer",
    "ExactPacer",
    "LearningRanker",
    "PPOExecutor",
    "PacedExecutor",
    "Pacer",
    "QualityRanker",
    "Ranker",
    "ThresholdPacer",
    "UpliftRanker",
]
