"""The executor's choice from observations instead of from a running population."""

from typing import NamedTuple

import numpy as np

from slowfast_rl.agents.pace_predict import pace
from slowfast_rl.envs.columns import columns
from slowfast_rl.fast import AffinityRanker, Executor, QualityRanker, UpliftRanker
from slowfast_rl.fast.affinity import UNTRAINED, affinity, open_rate, score
from slowfast_rl.fast.observed import observed_effects
from slowfast_rl.members.arrays import Float32, Float64, Int64
from slowfast_rl.members.compile import driver
from slowfast_rl.members.world import World
from slowfast_rl.store import PacingPlan

_TOPIC_PARTS = 4  # sends, opens, days since a send, launch: adjacent columns of the table
_QUALITY_ONLY = np.array(UNTRAINED, np.float32)


class Choice(NamedTuple):
    """What the executor does at B opportunities."""

    actions: Int64  # [B] 0 holds
    propensity: Float64  # [B] probability of that action, over the pacer's coins


def choose_candidates(
    world: World,
    executor: Executor,
    obs: Float32,
    plan: PacingPlan,
    entity_ids: Int64,
    times: Int64,
    seed: int,
) -> Choice:
    """Return the executor's action for each of B members.

    Paces as the executor's pacer does, with coins of its own, and ranks as its ranker does, by the
    same scalar functions: it picks the candidate that the fused executor picks in the same
    situation.

    Args:
        world: the world.
        executor: pacer and ranker.
        obs: [B, F] observations of ``Messaging-v0``.
        plan: the plans in force, [B].
        entity_ids: [B] member ids, which key the pacer's coins.
        times: [B] simulated seconds, whose weeks do likewise.
        seed: of the coins.

    Raises:
        ValueError: the executor's ranker, or a plan's shape, cannot work from observations.
    """
    least, odds = pace(world, executor, obs, plan, entity_ids, times, seed)
    if isinstance(executor.ranker, UpliftRanker):
        effects = observed_effects(world, executor.ranker.weights, obs)  # [B, K]
        sent = effects.max(axis=1) >= least
        return Choice(np.where(sent, effects.argmax(axis=1) + 1, 0), odds)
    weights, column = _ranking(executor), columns(world)
    best, scores = np.empty(len(obs), np.int64), np.empty(len(obs))
    _best_candidates(
        np.ascontiguousarray(obs),
        column["topic_0_sends"],
        column["candidate_1_quality"],
        world.num_topics,
        world.num_candidates,
        weights,
        best,
        scores,
    )
    odds = np.where(best > 0, odds, 1.0)  # nothing to send: certainly held
    return Choice(np.where(scores >= least, best, 0), odds)


def _ranking(executor: Executor) -> Float32:
    """Return the weights of the score that ranks as this executor does."""
    ranker = executor.ranker
    if isinstance(ranker, AffinityRanker):
        return ranker.weights
    if isinstance(ranker, QualityRanker):
        return _QUALITY_ONLY
    allowed = "quality, affinity or uplift"
    raise ValueError(f"ranker {ranker.name!r} cannot work from observations; allowed: {allowed}")


@driver()
def _best_candidates(
    obs: Float32,
    first_topic: int,
    first_candidate: int,
    num_topics: int,
    num_candidates: int,
    weights: Float32,
    best: Int64,
    scores: Float64,
) -> None:
    for i in range(obs.shape[0]):
        opens = sends = np.float32(0)
        for d in range(num_topics):
            sends += obs[i, first_topic + d * _TOPIC_PARTS]
            opens += obs[i, first_topic + d * _TOPIC_PARTS + 1]
        rate = open_rate(opens, sends)
        best[i], best_score = 0, np.float32(-np.inf)
        for j in range(num_candidates):
            k = first_candidate + j * (2 + num_topics)
            for d in range(num_topics):
                if obs[i, k + 2 + d] > 0:
                    t = first_topic + d * _TOPIC_PARTS
                    liking = affinity(obs[i, t + 1], obs[i, t], rate, weights[0])
                    value = score(weights, obs[i, k], obs[i, k + 1], liking, obs[i, t + 2])
                    if value > best_score:
                        best[i], best_score = j + 1, value
        scores[i] = best_score
