"""Fast policies: which message, now, within the plan that the store holds."""

from slowfast_rl.fast.affinity import AffinityRanker
from slowfast_rl.fast.bid_price import BidPricePacer
from slowfast_rl.fast.coin import CoinPacer
from slowfast_rl.fast.executor import ExactPacer, Executor, Pacer, QualityRanker, Ranker

__all__ = [
    "AffinityRanker",
    "BidPricePacer",
    "CoinPacer",
    "ExactPacer",
    "Executor",
    "Pacer",
    "QualityRanker",
    "Ranker",
]
