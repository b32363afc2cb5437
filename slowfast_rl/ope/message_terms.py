"""The terms of the reward model of messages, read from observations by a jitted driver."""

import numpy as np
from numba import types

from slowfast_rl.fast.decide import empty_observed, read_opportunity
from slowfast_rl.fast.uplift_features import (
    CANDIDATE_TERMS,
    MEMBER_TERMS,
    ORGANIC_TERMS,
    candidate_terms,
    member_terms,
    organic_terms,
)
from slowfast_rl.members.arrays import Float32, Int64, UInt8
from slowfast_rl.members.compile import driver
from slowfast_rl.members.observations import read_candidates
from slowfast_rl.members.opportunity import LOG
from slowfast_rl.members.state import Log
from slowfast_rl.members.world import World
from slowfast_rl.policies.columns import columns, slots_of_week

_CHUNK = 8192  # rows read at once, which bounds the working memory
_MATRIX = types.Array(types.float32, 2, "C")


def message_terms(world: World, observations: Float32) -> tuple[Float32, Float32]:
    """Return the terms of B opportunities and the features of their candidates.

    The terms are those of the uplift model (viewing without a message, the member's response), the
    weekday and the slots left. The features are the channel of the opportunity, one column for each
    channel, and the uplift model's terms of the candidate.

    Args:
        world: the world, for the layout of observations.
        observations: [B, F] of ``Messaging-v0``.

    Returns:
        [B, T] and [B, K, C + CANDIDATE_TERMS].
    """
    size, num_channels = len(observations), len(world.channels)
    terms = np.empty((size, ORGANIC_TERMS + MEMBER_TERMS), np.float32)
    features = np.empty((size, world.num_candidates, CANDIDATE_TERMS), np.float32)
    flag, slots = np.float32(world.launches.flag_threshold), slots_of_week(world)
    for first in range(0, size, _CHUNK):
        rows = slice(first, first + _CHUNK)
        obs = np.ascontiguousarray(observations[rows], np.float32)
        found = terms[rows], features[rows].reshape(len(obs), -1)
        _fill_terms(obs, *empty_observed(world, len(obs)), slots, flag, *found)
    column = columns(world)
    of_slot = [column[f"slot_is_{channel}"] for channel in world.channels]
    here = observations[:, None, of_slot]  # [B, 1, C]
    weekday = observations[:, [column["weekday"]]] == np.arange(1, 7)
    left = observations[:, [column["slots_left"]]] * here[:, 0]
    channels = np.broadcast_to(here, (size, world.num_candidates, num_channels))
    return (
        np.column_stack([terms, here[:, 0, 1:], weekday, left]).astype(np.float32),
        np.concatenate([channels, features], axis=2).astype(np.float32),
    )


@driver(
    types.void(
        _MATRIX, LOG, _MATRIX, types.Array(types.uint8, 2, "C"), _MATRIX,
        types.Array(types.int64, 2, "C"), types.float32, _MATRIX, _MATRIX,
    )
)  # fmt: skip
def _fill_terms(
    obs: Float32,
    log: Log,
    launches: Float32,
    topics: UInt8,
    qualities: Float32,
    slots: Int64,
    flag_threshold: np.float32,
    terms: Float32,
    features: Float32,
) -> None:
    """Fill terms [B, ORGANIC_TERMS + MEMBER_TERMS] and features [B, K * CANDIDATE_TERMS]."""
    for i in range(obs.shape[0]):
        o, first = read_opportunity(
            obs[i], i, log, launches, topics.shape[1], slots, 0, 0, 0, flag_threshold
        )
        read_candidates(obs[i], first, topics[i], qualities[i], launches.shape[1])
        views, channels, by_topic = log.by_member[i], log.by_channel[i], log.by_topic[i]
        organic = organic_terms(views, channels, launches[i], o.day)
        for k in range(ORGANIC_TERMS):
            terms[i, k] = organic[k]
        member = member_terms(views, channels, by_topic, o.channel, o.day)
        for k in range(MEMBER_TERMS):
            terms[i, ORGANIC_TERMS + k] = member[k]
        for j in range(topics.shape[1]):
            topic = topics[i, j]
            chosen = candidate_terms(by_topic, topic, qualities[i, j], launches[i, topic], o.day)
            for k in range(CANDIDATE_TERMS):
                features[i, j * CANDIDATE_TERMS + k] = chosen[k]
