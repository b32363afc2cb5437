"""A ranker on quality and topic affinity, both learned from randomised logs."""

from collections.abc import Mapping
from math import isfinite
from typing import Any, NamedTuple, Self

import numpy as np

from slowfast_rl.envs.executor import candidate_words
from slowfast_rl.fast.logs import LOG_COLUMNS, collect_logs
from slowfast_rl.fast.regression import logistic_regression
from slowfast_rl.members import numerics
from slowfast_rl.members.arrays import Float32, Float64
from slowfast_rl.members.compile import driver, kernel
from slowfast_rl.members.dynamics import candidate
from slowfast_rl.members.opportunity import RANKER_SIGNATURE, Opportunity
from slowfast_rl.members.random import lane
from slowfast_rl.members.state import TOPIC_LAST_SENT, TOPIC_OPENS, TOPIC_SENDS, Log
from slowfast_rl.members.world import World

_PRIOR_OPENS, _PRIOR_SENDS = np.float32(1), np.float32(10)  # of a member's own open rate
_SHORT, _LONG = np.float32(7), np.float32(30)  # days of the two recency features
LONG_AGO = np.float32(60)  # days; the table of signals clips "days since" here, so does the score
_STRENGTHS = (1, 2, 4, 8, 16, 32, 64)  # prior opens of a topic that learning chooses among
_ZERO = np.float32(0)


class Weights(NamedTuple):
    """The ranker's score, in logits of an open."""

    strength: float  # prior opens of a topic, above 0
    quality: float  # per standard deviation
    launch: float  # of a flagged candidate
    affinity: float  # per unit of log relative open rate of the topic
    recent_short: float  # times e^(-days since the topic was sent / 7)
    recent_long: float  # times e^(-days / 30)


UNTRAINED = Weights(4, 1, 0, 0, 0, 0)


@kernel
def affinity(
    opens: np.float32, sends: np.float32, member_rate: np.float32, strength: np.float32
) -> np.float32:
    """Return the log of a topic's open rate relative to the member's own, shrunk towards 0."""
    return numerics.log((opens + strength) / (sends * member_rate + strength))


@kernel
def open_rate(opens: np.float32, sends: np.float32) -> np.float32:
    """Return a member's open rate over all topics, shrunk to .1 by ten sends."""
    return (opens + _PRIOR_OPENS) / (sends + _PRIOR_SENDS)


@kernel
def score(
    weights: Float32,
    quality: np.float32,
    launched: np.float32,
    liking: np.float32,
    topic_days: np.float32,
) -> np.float32:
    """Return a candidate's score; ``weights`` are laid out as :class:`Weights`."""
    days = min(topic_days, LONG_AGO)
    value = weights[1] * quality + weights[2] * launched + weights[3] * liking
    value += weights[4] * numerics.exp(-days / _SHORT)
    return np.float32(value + weights[5] * numerics.exp(-days / _LONG))


@driver(RANKER_SIGNATURE)
def affinity_rank(
    chance: Opportunity, log: Log, launches: Float32, ranking: Float32
) -> tuple[int, float]:
    """Return the candidate of the highest score and that score."""
    topics, day = log.by_topic[chance.row], np.float32(chance.day)
    opens = sends = _ZERO
    for d in range(chance.num_topics):
        opens += topics[d, TOPIC_OPENS]
        sends += topics[d, TOPIC_SENDS]
    rate = open_rate(opens, sends)
    best, best_score = 0, np.float32(-np.inf)
    words = candidate_words(chance, 0)
    for j in range(chance.num_candidates):
        if j and not j & 3:
            words = candidate_words(chance, j >> 2)
        topic, quality = candidate(chance.num_topics, lane(words, j & 3))
        launched = np.float32(launches[chance.day, topic] >= chance.flag_threshold)
        row = topics[topic]
        liking = affinity(row[TOPIC_OPENS], row[TOPIC_SENDS], rate, ranking[0])
        value = score(ranking, quality, launched, liking, day - row[TOPIC_LAST_SENT])
        if value > best_score:
            best, best_score = j + 1, value
    return best, float(best_score)


class AffinityRanker:
    """Ranks on quality, launch flag, learned topic affinity and recency of the topic.

    Untrained it ranks on quality only.

    Raises:
        ValueError: a weight is no finite number, or the strength is not above 0.
    """

    name = "affinity"
    function = staticmethod(affinity_rank)

    def __init__(self, learned: Weights = UNTRAINED) -> None:
        for name, value in learned._asdict().items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not (number and isfinite(value)) or (name == "strength" and value <= 0):
                allowed = "above 0" if name == "strength" else "a finite number"
                raise ValueError(f"ranker weight {name} is {value!r}; allowed is {allowed}")
        self.learned = learned
        self.opportunities = 0  # in the logs that it learned from

    @property
    def weights(self) -> Float32:
        """The jitted ranker's parameters."""
        return np.array(self.learned, np.float32)

    def learn(
        self, world: World, *, num_members: int = 1024, weeks: int = 40, seed: int = 0
    ) -> Self:
        """Fit opens on the logs of a policy that sends random candidates at random times.

        The model is a logistic regression; the prior strength of a topic's opens is the one with
        the best likelihood. What was learned before is forgotten.

        Args:
            world: the world.
            num_members: members whose logs are used.
            weeks: weeks of logs.
            seed: of population, luck and exploration.

        Raises:
            ValueError: the logs hold no open or nothing else, so that nothing can be learned.
        """
        self.opportunities = num_members * weeks * world.slots_per_week
        logs = collect_logs(world, num_members, weeks, seed)
        opened = logs[:, LOG_COLUMNS.index("opened")]
        fits = []
        for strength in _STRENGTHS:
            coefficients, likelihood = logistic_regression(_features(logs, strength, world), opened)
            fits.append((likelihood, strength, coefficients))
        _, strength, coefficients = max(fits, key=lambda fit: fit[0])
        scored = coefficients[: len(Weights._fields) - 1]
        self.learned = Weights(float(strength), *map(float, scored))
        return self

    def state(self) -> dict[str, Any]:
        """Return the weights as JSON can hold them."""
        return self.learned._asdict()

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild a ranker from :meth:`state`.

        Raises:
            ValueError: a weight is missing, unknown or not allowed.
        """
        if sorted(state) != sorted(Weights._fields):
            raise ValueError(
                f"ranker weights are {sorted(state)}; allowed: {sorted(Weights._fields)}"
            )
        return cls(Weights(**state))


def _features(logs: Float32, strength: float, world: World) -> Float64:
    """Return the regression's features: the score's terms first, then what does not rank."""
    column = {name: logs[:, i].astype(np.float64) for i, name in enumerate(LOG_COLUMNS)}
    rate = (column["opens"] + _PRIOR_OPENS) / (column["sends"] + _PRIOR_SENDS)
    days = np.minimum(column["topic_days"], LONG_AGO)
    terms = [
        column["quality"],
        column["launched"],
        np.log((column["topic_opens"] + strength) / (column["topic_sends"] * rate + strength)),
        np.exp(-days / _SHORT),
        np.exp(-days / _LONG),
        np.log(rate),
    ]
    terms += [column["channel"] == c for c in range(len(world.channels))]  # their sum: intercept
    return np.stack(terms, axis=1).astype(np.float64)
