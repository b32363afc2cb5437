"""A ranker on quality and topic affinity, both learned from randomised logs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from slowfast_rl.fast.regression import logistic_regression
from slowfast_rl.members import numerics
from slowfast_rl.members.arrays import Float32, Float64, Int64, UInt8
from slowfast_rl.members.compile import driver, kernel
from slowfast_rl.members.features import LONG_AGO_DAYS, PRIOR_EVENTS, PRIOR_SENDS
from slowfast_rl.members.observations import (
    opportunity_features,
    opportunity_observation,
    weekly_features,
)
from slowfast_rl.members.opportunity import RANKER_SIGNATURE, Opportunity, RankerFunction
from slowfast_rl.members.population import Population
from slowfast_rl.members.random import Domain, ExplorationStream, random_words
from slowfast_rl.members.state import TOPIC_LAST_SENT, TOPIC_OPENS, TOPIC_SENDS, Log
from slowfast_rl.members.world import World
from slowfast_rl.policies.component import register
from slowfast_rl.policies.contracts import BaseRanker
from slowfast_rl.policies.settings import Settings, is_number, setting

_SHORT, _LONG = np.float32(7), np.float32(30)  # days of the two recency features
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
    """Return a member's open rate over all topics, shrunk as the shares among the features are."""
    return (opens + PRIOR_EVENTS) / (sends + PRIOR_SENDS)


@kernel
def score(
    weights: Float32,
    quality: np.float32,
    launched: np.float32,
    liking: np.float32,
    topic_days: np.float32,
) -> np.float32:
    """Return a candidate's score; ``weights`` are laid out as :class:`Weights`."""
    days = min(topic_days, LONG_AGO_DAYS)
    value = weights[1] * quality + weights[2] * launched + weights[3] * liking
    value += weights[4] * numerics.exp(-days / _SHORT)
    return np.float32(value + weights[5] * numerics.exp(-days / _LONG))


@driver(RANKER_SIGNATURE)
def affinity_rank(
    opportunity: Opportunity,
    topics: UInt8,
    qualities: Float32,
    log: Log,
    launches: Float32,
    ranking: Float32,
) -> tuple[int, float]:
    """Return the candidate of the highest score and that score."""
    logged, day = log.by_topic[opportunity.row], np.float32(opportunity.day)
    opens = sends = _ZERO
    for d in range(logged.shape[0]):
        opens += logged[d, TOPIC_OPENS]
        sends += logged[d, TOPIC_SENDS]
    rate = open_rate(opens, sends)
    best, best_score = 0, np.float32(-np.inf)
    for j in range(topics.shape[0]):
        row = logged[topics[j]]
        launched = np.float32(launches[topics[j]] >= opportunity.flag_threshold)
        liking = affinity(row[TOPIC_OPENS], row[TOPIC_SENDS], rate, ranking[0])
        value = score(ranking, qualities[j], launched, liking, day - row[TOPIC_LAST_SENT])
        if value > best_score:
            best, best_score = j + 1, value
    return best, float(best_score)


@dataclass(frozen=True, kw_only=True)
class AffinitySettings(Settings):
    """Settings of :class:`AffinityRanker`."""

    num_members: int = setting(1024, "members whose logs it learns from", low=1, high=2**24)
    weeks: int = setting(40, "weeks of their logs", low=1, high=2**16)


@register
class AffinityRanker(BaseRanker):
    """Ranks on quality, launch flag, learned topic affinity and recency of the topic.

    Untrained it ranks on quality only.
    """

    name = "affinity"
    Settings = AffinitySettings
    settings: AffinitySettings
    learned: Weights = UNTRAINED
    _weights: Float32
    _weights_of: Weights | None = None  # what ``_weights`` were made of

    @property
    def function(self) -> RankerFunction:
        """The jitted ranker."""
        return affinity_rank

    @property
    def weights(self) -> Float32:  # type: ignore[override]  # derived from what was learned
        """The jitted ranker's parameters."""
        if self._weights_of is not self.learned:
            self._weights, self._weights_of = np.array(self.learned, np.float32), self.learned
        return self._weights

    @classmethod
    def with_weights(cls, learned: Weights, settings: AffinitySettings | None = None) -> Self:
        """Return a ranker with given weights.

        Raises:
            ValueError: a weight is no finite number, or the strength is not above 0.
        """
        for name, value in learned._asdict().items():
            if not is_number(value) or (name == "strength" and value <= 0):
                allowed = "above 0" if name == "strength" else "a finite number"
                raise ValueError(f"ranker weight {name} is {value!r}; allowed is {allowed}")
        ranker = cls(settings=settings)
        ranker.learned = learned
        return ranker

    def learn(self, world: World, *, seed: int = 0) -> Self:
        """Fit opens on the logs of a policy that sends random candidates at random times.

        The model is a logistic regression; the prior strength of a topic's opens is the one with
        the best likelihood. What was learned before is forgotten.

        Args:
            world: the world.
            seed: of population, luck and exploration.

        Raises:
            ValueError: the logs hold no open or nothing else, so that nothing can be learned.
        """
        num_members, weeks = self.settings.num_members, self.settings.weeks
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
    def from_state(
        cls, world: World, settings: Any, state: Mapping[str, Any], **parts: Any
    ) -> Self:
        """Rebuild a ranker from :meth:`state`.

        Raises:
            ValueError: a weight is missing, unknown or not allowed.
        """
        if sorted(state) != sorted(Weights._fields):
            raise ValueError(
                f"ranker weights are {sorted(state)}; allowed: {sorted(Weights._fields)}"
            )
        return cls.with_weights(Weights(**state), settings)


def _features(logs: Float32, strength: float, world: World) -> Float64:
    """Return the regression's features: the score's terms first, then what does not rank."""
    column = {name: logs[:, i].astype(np.float64) for i, name in enumerate(LOG_COLUMNS)}
    rate = (column["opens"] + PRIOR_EVENTS) / (column["sends"] + PRIOR_SENDS)
    days = np.minimum(column["topic_days"], LONG_AGO_DAYS)
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


LOG_COLUMNS = (
    "channel", "quality", "launched", "topic_sends", "topic_opens", "topic_days", "sends", "opens",
    "opened",
)  # fmt: skip
_SEND_SHARE = 0.25  # of opportunities


def collect_logs(world: World, num_members: int, weeks: int, seed: int) -> Float32:
    """Return one row of ``LOG_COLUMNS`` per send, [B, 9], as known at the moment of the send.

    Rows are in order of time, then of member. Counts are since the start: of the candidate's
    topic, and over all topics.

    Args:
        world: the world.
        num_members: members of population ``seed``.
        weeks: weeks to log, 1 or more.
        seed: of population, luck and exploration.
    """
    if weeks < 1:
        raise ValueError(f"weeks is {weeks}; allowed is 1 or more")
    population = Population(world, num_members, seed, seed)
    known = _Known(world)
    logs = []
    for time in range(weeks * world.slots_per_week):
        words = random_words(
            seed,
            ExplorationStream.RANDOM_SENDS,
            population.members,
            np.full(num_members, time),
            Domain.EXPLORATION,
        )
        channel = world.schedule[population.slot].channel
        send = (words / 2**32 < _SEND_SHARE) & population.opted_in[:, channel] & population.alive
        choice = words.astype(np.int64) % world.num_candidates  # [N], by the word's low bits
        observations = opportunity_observation(population)
        _, events = population.step(np.where(send, choice + 1, 0))
        before = known.of(observations[send], choice[send])
        logs.append(np.column_stack([np.full(len(before), channel), before, events.opened[send]]))
    return np.concatenate(logs).astype(np.float32)


class _Known:
    """Reads, from features at a slot, what is known of one candidate each."""

    def __init__(self, world: World) -> None:
        names = [feature.name for feature in weekly_features(world) + opportunity_features(world)]
        topics, candidates = range(world.num_topics), range(1, world.num_candidates + 1)

        def columns(pattern: str, numbers: range) -> Int64:
            return np.array([names.index(pattern.format(n)) for n in numbers])

        self._sends = columns("topic_{}_sends", topics)  # [D]
        self._opens = columns("topic_{}_opens", topics)
        self._days = columns("topic_{}_days_since_send", topics)
        self._quality = columns("candidate_{}_quality", candidates)  # [K]
        self._launched = columns("candidate_{}_launch_flag", candidates)
        self._is_topic = columns("candidate_{}_is_topic_0", candidates)[:, None] + topics  # [K, D]

    def of(self, observations: Float32, choice: Int64) -> Float32:
        """Return quality to opens of ``LOG_COLUMNS`` for candidates ``choice``, [B, 7]."""
        rows = np.arange(len(observations))
        topic = observations[rows[:, None], self._is_topic[choice]].argmax(axis=1)
        return np.stack(
            [
                observations[rows, self._quality[choice]],
                observations[rows, self._launched[choice]],
                observations[rows, self._sends[topic]],
                observations[rows, self._opens[topic]],
                observations[rows, self._days[topic]],
                observations[:, self._sends].sum(axis=1),
                observations[:, self._opens].sum(axis=1),
            ],
            axis=1,
        )
