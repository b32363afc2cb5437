"""What PPO at every opportunity begins as: a pacer and a ranker, and the scale of its inputs."""

from typing import NamedTuple

import numpy as np

from slowfast_rl.fast.proposals import propose
from slowfast_rl.members.arrays import Float32
from slowfast_rl.members.features import opportunity_features, weekly_features
from slowfast_rl.members.world import World
from slowfast_rl.policies.contracts import BasePacer, BaseRanker
from slowfast_rl.policies.settings import MIN_SCALE

_MIN_SCORE_DEVIATION = 1e-4  # in scores as the ranker gives them; an effect is a probability


class Prior(NamedTuple):
    """The pacer and ranker that a policy follows before it learns.

    Attributes:
        world: the world.
        pacer: says with which probability a send is considered and the least score worth one.
        ranker: scores the candidates; None for candidates that are all alike.
        send_share: fixed probability that a considered send is made; None to compare the best
            score with the least score.
        temperature: of the softmax over scores, in their standard deviations.
    """

    world: World
    pacer: BasePacer | None
    ranker: BaseRanker | None
    send_share: float | None
    temperature: float


class Scale(NamedTuple):
    """What inputs are standardised with."""

    centre: Float32  # [F] of observations
    scale: Float32  # [F]
    scores: float  # standard deviation of candidates' scores


def unit_scale(world: World) -> Scale:
    """Return the scale that leaves inputs as they are."""
    width = len(weekly_features(world) + opportunity_features(world))
    return Scale(np.zeros(width, np.float32), np.ones(width, np.float32), 1.0)


def typical_scale(prior: Prior, observations: Float32) -> Scale:
    """Return the scale of typical observations [B, F]."""
    proposal = propose(prior.world, prior.pacer, prior.ranker, observations)
    deviation = float(proposal.scores.std()) if prior.ranker is not None else 1.0
    return Scale(
        observations.mean(axis=0),
        np.maximum(observations.std(axis=0), MIN_SCALE),
        max(deviation, _MIN_SCORE_DEVIATION),
    )
