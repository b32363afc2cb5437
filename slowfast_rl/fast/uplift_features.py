"""The terms of the uplift model for a member, a candidate and a day, computed from the log.

The jitted ranker and the trials on which it is fitted use the same functions.
"""

import numpy as np

from slowfast_rl.members.arrays import Float32, Integer
from slowfast_rl.members.compile import kernel
from slowfast_rl.members.features import LONG_AGO_DAYS, PRIOR_EVENTS, PRIOR_SENDS
from slowfast_rl.members.numerics import ONE, exp, log
from slowfast_rl.members.state import (
    DISMISSALS,
    EW4,
    EW20,
    HEAVY,
    LAST,
    LAST_SENT,
    LIGHT,
    OPENS,
    SENDS,
    THIS,
    TOPIC_LAST_SENT,
    TOPIC_OPENS,
    TOPIC_SENDS,
)

ORGANIC_TERMS = 5  # of viewing without the message, in addition to the weekday
MEMBER_TERMS = 17  # of a response, for member and channel
CANDIDATE_TERMS = 6  # of a response, for the candidate

_ZERO = np.float32(0)
_DAYS, _HALF_DAY = np.float32(7), np.float32(0.5)  # of a week; added to both sides of a rate
_LOG_KEPT_4, _LOG_KEPT_20 = np.float32(np.log(3 / 4)), np.float32(np.log(19 / 20))
_PRIOR_WEIGHT = np.float32(0.1)  # of a member's own history at which it counts for half
_PRIOR_VIEWS = np.float32(1.5)  # viewing days a week, assumed before anything is known
_PRIOR_SHARE_LOG = np.float32(
    np.log(float(PRIOR_SENDS / PRIOR_EVENTS))
)  # minus the log of a share without sends
_RECENT = np.float32(8)  # weeks of sends that a moving average over 20 weeks counts for
_TOPIC_PRIOR = np.float32(8)  # opens that a topic's rate is shrunk by towards the member's own
_SHORT, _LONG = np.float32(7), np.float32(30)  # days of the recency terms

Five = tuple[np.float32, np.float32, np.float32, np.float32, np.float32]


@kernel
def usual_views(by_member: Float32, weeks: Integer, window: int) -> np.float32:
    """Return viewing days per week from a moving average, corrected for its start, and shrunk."""
    rate = _LOG_KEPT_4 if window == EW4 else _LOG_KEPT_20
    seen = ONE - exp(rate * np.float32(weeks))
    views: np.float32 = by_member[window] + _PRIOR_WEIGHT * _PRIOR_VIEWS
    return views / (seen + _PRIOR_WEIGHT)


@kernel
def viewing_logit(views: np.float32) -> np.float32:
    """Return the logit of viewing on a day, with half a day added to views and to the rest."""
    return log((views + _HALF_DAY) / (_DAYS - min(views, _DAYS) + _HALF_DAY))


@kernel
def shrunk_log(count: np.float32, sends: np.float32) -> np.float32:
    """Return the log of a shrunk share of sends relative to the share without any send."""
    return log((count + PRIOR_EVENTS) / (sends + PRIOR_SENDS)) + _PRIOR_SHARE_LOG


@kernel
def week_sends(by_channel: Float32, window: Integer) -> np.float32:
    """Return sends over all channels in a window."""
    total = _ZERO
    for c in range(by_channel.shape[0]):
        total += by_channel[c, SENDS + window]
    return total


@kernel
def organic_terms(by_member: Float32, by_channel: Float32, launches: Float32, day: Integer) -> Five:
    """Return the terms of viewing on a day without the message.

    Args:
        by_member: [WINDOWS] a member's viewing days.
        by_channel: [C, CHANNEL_COLUMNS].
        launches: [D] intensity today.
        day: since the member's episode began.
    """
    weeks = day // 7
    launched = _ZERO
    for d in range(launches.shape[0]):
        launched += launches[d]
    return (
        viewing_logit(usual_views(by_member, weeks, EW4)),
        viewing_logit(usual_views(by_member, weeks, EW20)),
        by_member[LAST] / _DAYS if weeks else _ZERO,
        launched,
        week_sends(by_channel, THIS) / _DAYS,
    )


@kernel
def member_terms(
    by_member: Float32, by_channel: Float32, by_topic: Float32, c: Integer, day: Integer
) -> tuple[np.float32, ...]:
    """Return the terms of the response to a message on channel c, without those of the candidate.

    Args:
        by_member: [WINDOWS] a member's viewing days.
        by_channel: [C, CHANNEL_COLUMNS].
        by_topic: [D, TOPIC_COLUMNS].
        c: the channel.
        day: since the member's episode began.
    """
    weeks = day // 7
    own = by_channel[c]
    opens = sends = _ZERO
    for d in range(by_topic.shape[0]):
        opens += by_topic[d, TOPIC_OPENS]
        sends += by_topic[d, TOPIC_SENDS]
    overall = shrunk_log(opens, sends)
    heavy = shrunk_log(own[HEAVY + 2], own[HEAVY])
    usual = usual_views(by_member, weeks, EW4)
    load = (week_sends(by_channel, THIS) + week_sends(by_channel, LAST)) / _DAYS
    usual_load = week_sends(by_channel, EW4) / _DAYS
    return (
        overall,
        shrunk_log(own[LIGHT + 1], own[LIGHT]),
        shrunk_log(own[HEAVY + 1], own[HEAVY]),
        shrunk_log(own[LIGHT + 2], own[LIGHT]),
        heavy,
        shrunk_log(_RECENT * own[OPENS + EW20], _RECENT * own[SENDS + EW20]),
        shrunk_log(_RECENT * own[DISMISSALS + EW20], _RECENT * own[SENDS + EW20]),
        viewing_logit(usual),
        viewing_logit(usual_views(by_member, weeks, EW20)),
        exp(-usual),
        load,
        usual_load,
        (own[SENDS + THIS] + own[SENDS + LAST]) / _DAYS,
        load * heavy,
        load * overall,
        exp(-min(np.float32(day) - own[LAST_SENT], LONG_AGO_DAYS) / _SHORT),
        ONE / np.float32(1 + weeks),
    )


@kernel
def candidate_terms(
    by_topic: Float32, topic: Integer, quality: np.float32, launch: np.float32, day: Integer
) -> tuple[np.float32, ...]:
    """Return the terms of the response to a message that describe its candidate.

    Args:
        by_topic: [D, TOPIC_COLUMNS].
        topic: the topic of the candidate.
        quality: the quality of the candidate in standard deviations.
        launch: the topic's launch intensity today.
        day: since the member's episode began.
    """
    opens = sends = _ZERO
    for d in range(by_topic.shape[0]):
        opens += by_topic[d, TOPIC_OPENS]
        sends += by_topic[d, TOPIC_SENDS]
    rate = (opens + PRIOR_EVENTS) / (sends + PRIOR_SENDS)
    row = by_topic[topic]
    liking = log((row[TOPIC_OPENS] + _TOPIC_PRIOR) / (row[TOPIC_SENDS] * rate + _TOPIC_PRIOR))
    days = min(np.float32(day) - row[TOPIC_LAST_SENT], LONG_AGO_DAYS)
    return quality, quality * quality, launch, liking, exp(-days / _SHORT), exp(-days / _LONG)
