"""The executor's choice from observations instead of from a running population."""

import numpy as np

from slowfast_rl.fast import AffinityRanker, Executor, QualityRanker, UpliftRanker
from slowfast_rl.fast.affinity import UNTRAINED, affinity, open_rate, score
from slowfast_rl.fast.observed import columns, observed_effects
from slowfast_rl.members.arrays import Float32, Int32, Int64
from slowfast_rl.members.compile import driver
from slowfast_rl.members.random import Domain, random_words
from slowfast_rl.members.world import World

_TOPIC_PARTS = 4  # sends, opens, days since a send, launch: adjacent columns of the table
_QUALITY_ONLY = np.array(UNTRAINED, np.float32)


def opted_in_columns(world: World) -> list[int]:
    """Return the columns of the opt-in flags, [C]."""
    return [columns(world)[f"{channel}_opted_in"] for channel in world.channels]


def choose_candidates(
    world: World,
    executor: Executor,
    obs: Float32,
    target: Int32,
    cap: Int32,
    entity_ids: Int64,
    times: Int64,
    seed: int,
) -> Int64:
    """Return the executor's action for each of B members, [B].

    Paces exactly, with coins of its own, and ranks as the executor's ranker does, by the same
    scalar functions: it picks the candidate that the fused executor picks in the same situation.

    Args:
        world: the world.
        executor: pacer and ranker.
        obs: [B, F] observations of ``Messaging-v0``.
        target: [B, C] of the plans in force.
        cap: [B, C] likewise.
        entity_ids: [B] member ids, which key the pacer's coins.
        times: [B] simulated seconds, likewise.
        seed: of the coins.

    Raises:
        ValueError: the executor's pacer or ranker cannot work from observations.
    """
    best = _best(world, executor, obs)
    column, channels = columns(world), world.channels
    channel = obs[:, [column[f"slot_is_{c}"] for c in channels]].argmax(axis=1)
    rows = np.arange(len(obs))
    sent = obs[:, [column[f"{c}_sends_this_week"] for c in channels]][rows, channel]
    opted_in = obs[:, opted_in_columns(world)][rows, channel] > 0.5
    words = random_words(seed, 0, entity_ids, times // 60, Domain.PACER)
    wanted = words / 2**32 * obs[:, column["slots_left"]] < target[rows, channel] - sent
    return np.where(wanted & opted_in & (sent < cap[rows, channel]), best, 0)


def _best(world: World, executor: Executor, obs: Float32) -> Int64:
    """Return the candidate, from 1, that the executor's ranker picks, [B]."""
    ranker, weights = executor.ranker, _QUALITY_ONLY
    known = isinstance(ranker, AffinityRanker | QualityRanker | UpliftRanker)
    if executor.pacer.name != "exact" or not known:
        raise ValueError(
            f"pacer {executor.pacer.name!r} with ranker {ranker.name!r} cannot work from "
            "observations; allowed: exact with quality, affinity or uplift"
        )
    if isinstance(ranker, UpliftRanker):
        return np.asarray(observed_effects(world, ranker.weights, obs).argmax(axis=1) + 1)
    if isinstance(ranker, AffinityRanker):
        weights = ranker.weights
    column, best = columns(world), np.empty(len(obs), np.int64)
    first_topic, first_candidate = column["topic_0_sends"], column["candidate_1_quality"]
    sizes = (world.num_topics, world.num_candidates)
    _best_candidates(np.ascontiguousarray(obs), first_topic, first_candidate, *sizes, weights, best)
    return best


@driver()
def _best_candidates(
    obs: Float32,
    first_topic: int,
    first_candidate: int,
    num_topics: int,
    num_candidates: int,
    weights: Float32,
    best: Int64,
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
