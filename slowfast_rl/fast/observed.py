"""The uplift model on observations of ``Messaging-v0`` instead of on a running population."""

import numpy as np

from slowfast_rl.fast.uplift import candidate_logit, member_logit, no_view_probability
from slowfast_rl.members.arrays import Float32, Int64
from slowfast_rl.members.compile import driver
from slowfast_rl.members.features import PRIOR_EVENTS, PRIOR_SENDS
from slowfast_rl.members.numerics import logistic
from slowfast_rl.members.state import (
    CHANNEL_COLUMNS,
    DISMISSALS,
    HEAVY,
    LAST_SENT,
    LIGHT,
    SENDS,
    TOPIC_COLUMNS,
    TOPIC_LAST_SENT,
    TOPIC_OPENS,
    TOPIC_SENDS,
    WINDOWS,
    Log,
)
from slowfast_rl.members.world import World
from slowfast_rl.policies.columns import columns


def observed_effects(world: World, weights: Float32, obs: Float32) -> Float32:
    """Return the effect that the uplift model gives each candidate, [B, K].

    Args:
        world: the world.
        weights: the uplift ranker's.
        obs: [B, F] observations of ``Messaging-v0``.
    """
    column = columns(world)
    log, day = observed_log(world, obs)
    channel = obs[:, [column[f"slot_is_{c}"] for c in world.channels]].argmax(axis=1)
    launches = obs[:, [column[f"topic_{d}_launch"] for d in range(world.num_topics)]]
    candidates = range(1, world.num_candidates + 1)
    quality = obs[:, [column[f"candidate_{j}_quality"] for j in candidates]]
    first = np.array([column[f"candidate_{j}_is_topic_0"] for j in candidates])
    topic = obs[:, first[:, None] + np.arange(world.num_topics)].argmax(axis=2)  # [B, K]
    effects = np.empty(topic.shape, np.float32)
    _fill_effects(
        weights, *log, np.ascontiguousarray(launches), day, channel, topic, quality.copy(), effects
    )
    return effects


def observed_log(world: World, obs: Float32) -> tuple[Log, Int64]:
    """Return a log and day numbers [B] from which the model reads what it would have read."""
    column, size = columns(world), len(obs)
    day = (obs[:, column["tenure"]] * 7 + obs[:, column["weekday"]]).astype(np.int64)
    by_channel = np.zeros((size, len(world.channels), CHANNEL_COLUMNS), np.float32)
    for c, name in enumerate(world.channels):
        first = column[f"{name}_sends_this_week"]
        counts = slice(SENDS, DISMISSALS + WINDOWS)
        by_channel[:, c, counts] = obs[:, first : first + DISMISSALS + WINDOWS]
        for dose, total in (("light", LIGHT), ("heavy", HEAVY)):
            for number, event in enumerate(("open", "dismissal"), 1):
                share = obs[:, column[f"{name}_{event}_share_after_{dose}_weeks"]]
                # A count that, among no sends at all, is shrunk to the same share.
                by_channel[:, c, total + number] = share * PRIOR_SENDS - PRIOR_EVENTS
        by_channel[:, c, LAST_SENT] = day - obs[:, column[f"{name}_days_since_send"]]
    by_topic = np.empty((size, world.num_topics, TOPIC_COLUMNS), np.float32)
    for d in range(world.num_topics):
        by_topic[:, d, TOPIC_SENDS] = obs[:, column[f"topic_{d}_sends"]]
        by_topic[:, d, TOPIC_OPENS] = obs[:, column[f"topic_{d}_opens"]]
        by_topic[:, d, TOPIC_LAST_SENT] = day - obs[:, column[f"topic_{d}_days_since_send"]]
    first = column["viewing_days_this_week"]
    return Log(np.ascontiguousarray(obs[:, first : first + WINDOWS]), by_channel, by_topic), day


@driver()
def _fill_effects(
    weights: Float32,
    by_member: Float32,
    by_channel: Float32,
    by_topic: Float32,
    launches: Float32,
    day: Int64,
    channel: Int64,
    topic: Int64,
    quality: Float32,
    effects: Float32,
) -> None:
    for i in range(day.shape[0]):
        views, channels, topics = by_member[i], by_channel[i], by_topic[i]
        free = no_view_probability(weights, views, channels, launches[i], day[i])
        member = member_logit(weights, views, channels, topics, channel[i], day[i])
        for j in range(topic.shape[1]):
            launch = launches[i, topic[i, j]]
            logit = candidate_logit(weights, topics, topic[i, j], quality[i, j], launch, day[i])
            effects[i, j] = free * logistic(member + logit)
