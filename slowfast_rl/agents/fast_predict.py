"""The executor's choice from observations instead of from a running population."""

import numpy as np

from slowfast_rl.fast import AffinityRanker, Executor
from slowfast_rl.fast.affinity import affinity, open_rate, score
from slowfast_rl.members.arrays import Float32, Int32, Int64
from slowfast_rl.members.compile import driver
from slowfast_rl.members.random import Domain, random_words
from slowfast_rl.members.signals import slot_features, week_features
from slowfast_rl.members.world import World

_TOPIC_PARTS = 4  # sends, opens, days since a send, launch: adjacent columns of the table


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

    Paces exactly and ranks as the executor's ranker does, by the same scalar functions.

    Args:
        world: the world.
        executor: pacer and ranker.
        obs: [B, F] observations of ``Messaging-v0``.
        target: [B, C] of the plans in force.
        cap: [B, C] likewise.
        entity_ids: [B] member ids, which key the pacer's coins.
        times: [B] simulated seconds, likewise.
        seed: of the coins.
    """
    names = [feature.name for feature in week_features(world) + slot_features(world)]
    column = {name: i for i, name in enumerate(names)}
    channels = world.channels
    channel = obs[:, [column[f"slot_is_{c}"] for c in channels]].argmax(axis=1)
    rows = np.arange(len(obs))
    sent = obs[:, [column[f"{c}_sends_this_week"] for c in channels]][rows, channel]
    opted_in = obs[:, [column[f"{c}_opted_in"] for c in channels]][rows, channel]
    remaining = target[rows, channel] - sent
    words = random_words(seed, 0, entity_ids, times // 60, Domain.PACER)
    coins = words / 2**32
    send = coins * obs[:, column["slots_left"]] < remaining
    may = (opted_in > 0.5) & (sent < cap[rows, channel])
    ranker = executor.ranker
    weights = ranker.weights if isinstance(ranker, AffinityRanker) else _QUALITY_ONLY
    best = np.empty(len(obs), np.int64)
    first_topic, first_candidate = column["topic_0_sends"], column["candidate_1_quality"]
    sizes = (world.num_topics, world.num_candidates)
    _best_candidates(np.ascontiguousarray(obs), first_topic, first_candidate, *sizes, weights, best)
    return np.where(send & may, best, 0)


_QUALITY_ONLY = np.array([1, 1, 0, 0, 0, 0], np.float32)


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
        best_score = np.float32(-np.inf)
        for j in range(num_candidates):
            k = first_candidate + j * (2 + num_topics)
            for d in range(num_topics):
                if obs[i, k + 2 + d] > 0:
                    t = first_topic + d * _TOPIC_PARTS
                    liking = affinity(obs[i, t + 1], obs[i, t], rate, weights[0])
                    value = score(weights, obs[i, k], obs[i, k + 1], liking, obs[i, t + 2])
                    if value > best_score:
                        best[i], best_score = j + 1, value
