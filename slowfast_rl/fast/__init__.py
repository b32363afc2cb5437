"""Fast policies, which choose at each opportunity a message within the plan, or hold."""

from slowfast_rl.fast.affinity import AffinityRanker
from slowfast_rl.fast.bid_price import BidPricePacer
from slowfast_rl.fast.coin import CoinPacer
from slowfast_rl.fast.executor import ExactPacer, PacedExecutor, QualityRanker
from slowfast_rl.fast.exploring import ExploringExecutor
from slowfast_rl.fast.ppo import PPOExecutor
from slowfast_rl.fast.threshold import ThresholdPacer
from slowfast_rl.fast.uplift import UpliftRanker
from slowfast_rl.policies.contracts import BaseExecutor, BasePacer, BaseRanker

__all__ = [
    "AffinityRanker",
    "BaseExecutor",
    "BasePacer",
    "BaseRanker",
    "BidPricePacer",
    "CoinPacer",
    "ExactPacer",
    "ExploringExecutor",
    "PPOExecutor",
    "PacedExecutor",
    "QualityRanker",
    "ThresholdPacer",
    "UpliftRanker",
]
