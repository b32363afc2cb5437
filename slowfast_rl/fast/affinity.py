"""A ranker on content quality and topic affinity, learned from logs of random sends."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from slowfast_rl.fast.fitted_ranker import FittedRanker
from slowfast_rl.fast.regression import logistic_regression
from slowfast_rl.fast.trials import SEND_SHARE, random_sends
from slowfast_rl.logs.sampling import MAX_ROWS, RowSample
from slowfast_rl.members import numerics
from slowfast_rl.members.arrays import Float32, Float64, Int64, UInt8, UInt32
from slowfast_rl.members.block_policy import RANKER_BLOCK, Opportunities, block_form
from slowfast_rl.members.compile import driver, kernel
from slowfast_rl.members.features import LONG_AGO_DAYS, PRIOR_EVENTS, PRIOR_SENDS
from slowfast_rl.members.observations import opportunity_observation
from slowfast_rl.members.opportunity import RANKER_SIGNATURE, Opportunity, RankerFunction
from slowfast_rl.members.population import Population
from slowfast_rl.members.scratch import float_lane, word_lane
from slowfast_rl.members.state import TOPIC_LAST_SENT, TOPIC_OPENS, TOPIC_SENDS, Log
from slowfast_rl.members.world import World
from slowfast_rl.policies.budget import Schedule, schedule_of_logs
from slowfast_rl.policies.columns import columns
from slowfast_rl.policies.contracts import BasePlanner
from slowfast_rl.policies.plan_exchange import plans_of_planner
from slowfast_rl.policies.registry import register
from slowfast_rl.policies.settings import Settings, is_number, setting

if TYPE_CHECKING:
    from slowfast_rl.logs.reading import EventLog

_SHORT, _LONG = np.float32(7), np.float32(30)  # days of the two recency features
_STRENGTHS = (1, 2, 4, 8, 16, 32, 64)  # candidate values of the prior opens of a topic
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
    """Return a member's open rate over all topics, shrunk like the shares among the features."""
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


@block_form(affinity_rank, RANKER_BLOCK)
def affinity_rank_block(
    opportunities: Opportunities,
    rank: Any,
    topics: UInt8,
    qualities: Float32,
    log: Log,
    launches: Float32,
    ranking: Float32,
    actions: UInt32,
    scores: Float64,
) -> None:
    """Rank the candidates of a block; see :func:`affinity_rank`."""
    logged = log.by_topic
    opens, sends, rate, days = float_lane(), float_lane(), float_lane(), float_lane()
    launched, quality = float_lane(), float_lane()
    best, highest = word_lane(), float_lane()
    weights = float_lane()  # a copy, so that they are known not to change
    for term in range(ranking.shape[0]):
        weights[term] = ranking[term]
    for k in range(opportunities.size):
        opens[k] = sends[k] = _ZERO
    for d in range(opportunities.num_topics):
        for k in range(opportunities.size):
            opens[k] += logged[opportunities.row[k], d, TOPIC_OPENS]
            sends[k] += logged[opportunities.row[k], d, TOPIC_SENDS]
    for k in range(opportunities.size):
        rate[k] = open_rate(opens[k], sends[k])
        best[k], highest[k] = 0, np.float32(-np.inf)
    for j in range(opportunities.num_candidates):
        for k in range(opportunities.size):
            day = np.int64(opportunities.week[k]) * 7 + opportunities.weekday
            row, topic = opportunities.row[k], topics[j, k]
            opens[k] = logged[row, topic, TOPIC_OPENS]
            sends[k] = logged[row, topic, TOPIC_SENDS]
            days[k] = np.float32(day) - logged[row, topic, TOPIC_LAST_SENT]
            launched[k] = launches[day, topic] >= opportunities.flag_threshold
            quality[k] = qualities[j, k]
        for k in range(opportunities.size):
            liking = affinity(opens[k], sends[k], rate[k], weights[0])
            value = score(weights, quality[k], launched[k], liking, days[k])
            better = value > highest[k]
            best[k] = np.uint32(j + 1) if better else best[k]
            highest[k] = value if better else highest[k]
    for k in range(opportunities.size):
        actions[k], scores[k] = best[k], float(highest[k])


@dataclass(frozen=True, kw_only=True)
class AffinitySettings(Settings):
    """Settings of :class:`AffinityRanker`."""

    num_members: int = setting(1024, "number of members in the logs", low=1, high=2**24)
    weeks: int = setting(40, "number of weeks in the logs", low=1, high=2**16)


@register
class AffinityRanker(FittedRanker):
    """Ranks on quality, launch flag, learned topic affinity and recency of the topic.

    Before training it ranks on quality only.
    """

    name = "affinity"
    thread_safe = True
    Settings = AffinitySettings
    settings: AffinitySettings
    learned: Weights = UNTRAINED

    @property
    def function(self) -> RankerFunction:
        """The jitted ranker."""
        return affinity_rank

    @classmethod
    def checked_weights(cls, learned: Weights) -> Weights:
        """Return the weights after a check.

        Raises:
            ValueError: a weight is not a finite number, or the strength is not above 0.
        """
        for name, value in learned._asdict().items():
            if not is_number(value) or (name == "strength" and value <= 0):
                allowed = "above 0" if name == "strength" else "a finite number"
                raise ValueError(f"ranker weight {name} is {value!r}; allowed is {allowed}")
        return learned

    def schedule(self, world: World, total_opportunities: None = None) -> Schedule:
        """Return what its logs come to."""
        return schedule_of_logs(world, self.settings.num_members, self.settings.weeks)

    def learn(self, world: World, *, seed: int = 0, planner: BasePlanner | None = None) -> Self:
        """Fit opens in logs of a policy that sends random candidates at random times.

        The model is a logistic regression, with the prior strength of a topic's opens that has the
        highest likelihood. See :meth:`BaseRanker.learn`.

        Raises:
            ValueError: no send in the logs was opened, or all were.
        """
        num_members, weeks = self.settings.num_members, self.settings.weeks
        self.opportunities = num_members * weeks * world.slots_per_week
        self._fit(collect_logs(world, num_members, weeks, seed, planner), world)
        return self

    def learn_from_log(self, log: "EventLog", *, seed: int = 0, max_rows: int = MAX_ROWS) -> Self:
        """Fit opens of the log's sends, as :meth:`learn` does those of simulated ones.

        Which candidates were sent may depend on all that the features say of them.

        Args:
            log: the log, with what the candidates were.
            seed: decides which sends are used, where there are more than ``max_rows``.
            max_rows: number of sends that are used at most.

        Raises:
            ValueError: no send in the log was opened, or all were, or it lacks the candidates.
        """
        self._fit(sends_of(log, seed, max_rows), log.world)
        self.opportunities = 0
        return self

    def _fit(self, logs: Float32, world: World) -> None:
        """Fit the weights to one row of ``LOG_COLUMNS`` per send, [B, 9]."""
        opened = logs[:, LOG_COLUMNS.index("opened")]
        fits = []
        for strength in _STRENGTHS:
            coefficients, likelihood = logistic_regression(_features(logs, strength, world), opened)
            fits.append((likelihood, strength, coefficients))
        _, strength, coefficients = max(fits, key=lambda fit: fit[0])
        scored = coefficients[: len(Weights._fields) - 1]
        self.learned = Weights(float(strength), *map(float, scored))


def _features(logs: Float32, strength: float, world: World) -> Float64:
    """Return the features of the regression: the terms of the score, then those of the member."""
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


def collect_logs(
    world: World, num_members: int, weeks: int, seed: int, planner: BasePlanner | None = None
) -> Float32:
    """Return one row of ``LOG_COLUMNS`` per send, [B, 9], with counts before the send.

    Rows are sorted by time and then by member. Counts are totals since the start, of the topic of
    the candidate and of all topics.

    Args:
        world: the world.
        num_members: number of members, of population ``seed``.
        weeks: number of weeks, 1 or more.
        seed: seed of population, luck and exploration.
        planner: planner whose plans say how much is sent on average; None for the same share of
            opportunities for every member.
    """
    belief_filter = None if planner is None else planner.belief_filter
    population = Population(world, num_members, seed, seed, belief_filter=belief_filter)
    slots = np.bincount([slot.channel for slot in world.schedule], minlength=len(world.channels))
    share = np.full((num_members, len(slots)), SEND_SHARE)  # of opportunities, [N, C]
    logs = []
    for time in range(weeks * world.slots_per_week):
        if planner is not None and population.slot == 0:
            share = world.plans[plans_of_planner(population, planner)] / np.maximum(slots, 1)
        coin, choice = random_sends(population, seed, time)
        channel = world.schedule[population.slot].channel
        send = (coin < share[:, channel]) & population.opted_in[:, channel] & population.alive
        observations = opportunity_observation(population)
        _, events = population.step(np.where(send, choice + 1, 0))
        before = _candidate_features(world, observations[send], choice[send])
        logs.append(np.column_stack([np.full(len(before), channel), before, events.opened[send]]))
    return np.concatenate(logs).astype(np.float32)


class _Sends(NamedTuple):
    """B sends of a log."""

    columns: Float32  # [B, 9] ``LOG_COLUMNS``


def sends_of(log: "EventLog", seed: int = 0, max_rows: int = MAX_ROWS) -> Float32:
    """Return one row of ``LOG_COLUMNS`` per send of a log, as :func:`collect_logs` does, [B, 9].

    Rows are sorted by member and then by time.

    Args:
        log: the log.
        seed: decides which sends are kept.
        max_rows: number of sends that are kept at most.

    Raises:
        ValueError: the log has no sends, or not what the candidates were.
    """
    from slowfast_rl.logs.histories import MemberHistories

    kept, world = RowSample[_Sends](max_rows, seed), log.world
    for part in log.parts():
        histories, given = MemberHistories(log, part), part.decisions.columns
        for found in histories.opportunities():
            action = given["action"][found.rows].astype(np.int64)
            sent = action > 0
            at = found.rows[sent]
            if not at.size:
                continue
            members, times = given["member"][at], given["time"][at]
            before = _candidate_features(world, found.observations[sent], action[sent] - 1)
            opened = histories.followed(at, "opened")
            rows = np.column_stack([given["channel"][at], before, opened]).astype(np.float32)
            kept.add(members, times, _Sends(rows))
    sends = kept.rows()
    if sends is None:
        raise ValueError(f"{log.folder} has no sends; a ranker learns from what was opened")
    return sends.columns


def _candidate_features(world: World, observations: Float32, choice: Int64) -> Float32:
    """Return the columns from quality to opens of ``LOG_COLUMNS``, [B, 7].

    Args:
        world: the world.
        observations: [B, F] observations of ``Messaging-v0``.
        choice: [B] the candidates, from 0.
    """
    column, rows = columns(world), np.arange(len(observations))

    def find(pattern: str, numbers: range) -> Int64:
        return np.array([column[pattern.format(number)] for number in numbers])

    topics, candidates = range(world.num_topics), range(1, world.num_candidates + 1)
    sends, opens = find("topic_{}_sends", topics), find("topic_{}_opens", topics)
    is_topic = find("candidate_{}_is_topic_0", candidates)[choice, None] + topics  # [B, D]
    topic = observations[rows[:, None], is_topic].argmax(axis=1)
    return np.column_stack(
        [
            observations[rows, find("candidate_{}_quality", candidates)[choice]],
            observations[rows, find("candidate_{}_launch_flag", candidates)[choice]],
            observations[rows, sends[topic]],
            observations[rows, opens[topic]],
            observations[rows, find("topic_{}_days_since_send", topics)[topic]],
            observations[:, sends].sum(axis=1),
            observations[:, opens].sum(axis=1),
        ]
    )
