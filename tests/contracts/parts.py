"""The registered classes under test: a new one is a new line here."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from slowfast_rl.fast import (
    AffinityRanker,
    BidPricePacer,
    CoinPacer,
    ExactPacer,
    ExploringExecutor,
    PacedExecutor,
    PPOExecutor,
    QualityRanker,
    ThresholdPacer,
    UpliftRanker,
)
from slowfast_rl.fast.ppo_network import Scale
from slowfast_rl.members.features import opportunity_features, weekly_features
from slowfast_rl.members.population import Population
from slowfast_rl.members.world import World
from slowfast_rl.policies.contracts import BaseExecutor, BasePacer, BasePlanner, BaseRanker
from tests.agents.cases import WEIGHTS
from tests.contracts.component_contract import Part
from tests.fast.test_decide import made_up
from tests.members.worlds import world
from tests.slow.cases import requests
from tests.slow.planners import CASES

QUANTILES = [-0.5, 0.2, 0.9, 1.5]


def plans(planner: BasePlanner, w: World) -> np.ndarray:
    """The plans of members with all kinds of observations, [B]."""
    return planner.plan(requests(w, np.random.default_rng(0).random((60, 2)) < 0.8))


def rewards(executor: BaseExecutor, w: World) -> np.ndarray:
    """What weeks under all kinds of plans bring, [W, N]: another send or topic brings another."""
    population = Population(w, 60, 5, 5)
    target = np.random.default_rng(0).integers(0, 8, (60, len(w.channels))).astype(np.int32)
    return np.array([executor.run_week(population, target).reward for _ in range(4)])


def planner(name: str, **beside: dict[str, Any]) -> Part:
    trained = CASES[name].trained
    return Part(type(trained(world("pronounced"))), trained, plans, beside)


def executor(trained: Callable[[World], BaseExecutor]) -> Part:
    return Part(type(trained(world("pronounced"))), trained, rewards, {}, lambda part: part)


def pacer(trained: Callable[[World], BasePacer], **beside: dict[str, Any]) -> Part:
    def decide(part: BasePacer, w: World) -> np.ndarray:
        return rewards(PacedExecutor(pacer=part), w)

    cls = type(trained(world("pronounced")))
    return Part(cls, trained, decide, beside, lambda part: PacedExecutor(pacer=part))


def ranker(trained: Callable[[World], BaseRanker]) -> Part:
    def decide(part: BaseRanker, w: World) -> np.ndarray:
        return rewards(PacedExecutor(ranker=part), w)

    cls = type(trained(world("pronounced")))
    return Part(cls, trained, decide, {}, lambda part: PacedExecutor(ranker=part))


def bid_price(w: World) -> BidPricePacer:
    return BidPricePacer.with_quantiles([QUANTILES] * len(w.channels))


def uplift(w: World) -> UpliftRanker:
    return UpliftRanker.with_weights(made_up(len(w.channels)))


def random_ppo_executor(w: World) -> PPOExecutor:
    """The policy that training begins with, and a correction that is not 0."""
    sizes = {"num_envs": 16, "weeks": 3, "n_steps": 8, "batch_size": 64, "hidden": 8}
    made = PPOExecutor(ranker=uplift(w), **sizes)
    width = len(weekly_features(w) + opportunity_features(w))
    typical = Scale(np.zeros(width, np.float32), np.ones(width, np.float32), 1.0)
    made.policy = made._network(w, typical, 3)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weights in made.policy.parameters():
            weights.add_(0.3 * torch.randn(weights.shape, generator=generator))
    return made


PARTS = [
    planner("fixed"),
    planner("random"),
    planner("PPO with beliefs"),
    planner("rollouts"),
    planner("segments"),
    planner("CQL"),
    planner("utility", weeks={"window": 1}, window={"weeks": 2**16}),
    pacer(lambda w: ExactPacer()),
    pacer(lambda w: CoinPacer()),
    pacer(lambda w: ThresholdPacer(threshold=0.5)),
    pacer(bid_price, weeks={"burn_in": 0}, burn_in={"weeks": 2**16}),
    ranker(lambda w: QualityRanker()),
    ranker(lambda w: AffinityRanker.with_weights(WEIGHTS)),
    ranker(uplift),
    executor(lambda w: PacedExecutor(bid_price(w), AffinityRanker.with_weights(WEIGHTS))),
    executor(random_ppo_executor),
    executor(lambda w: ExploringExecutor(PacedExecutor(bid_price(w)), explore=0.3)),
]
