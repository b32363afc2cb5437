"""A ranker on the causal effect of a message on the probability of viewing within the day."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from slowfast_rl.fast.fitted_ranker import FittedRanker
from slowfast_rl.fast.regression import (
    logistic_regression,
    response_likelihood,
    response_regression,
)
from slowfast_rl.fast.trials import Trials, collect_trials, trials_of
from slowfast_rl.fast.uplift_features import (
    CANDIDATE_TERMS,
    MEMBER_TERMS,
    ORGANIC_TERMS,
    candidate_terms,
    member_terms,
    organic_terms,
)
from slowfast_rl.logs.sampling import MAX_ROWS
from slowfast_rl.members.arrays import Float32, Float64, Integer, UInt8
from slowfast_rl.members.compile import driver, kernel
from slowfast_rl.members.numerics import ONE, logistic
from slowfast_rl.members.opportunity import RANKER_SIGNATURE, Opportunity, RankerFunction
from slowfast_rl.members.state import Log, take_rows
from slowfast_rl.members.world import World
from slowfast_rl.policies.budget import Schedule, schedule_of_logs
from slowfast_rl.policies.registry import register
from slowfast_rl.policies.settings import Settings, is_number, setting

if TYPE_CHECKING:
    from slowfast_rl.logs.reading import EventLog

_DAYS = 7
_MEMBER = _DAYS + ORGANIC_TERMS  # index of the first weight of the member terms
_CANDIDATE = _MEMBER + MEMBER_TERMS
_CHANNEL = _CANDIDATE + CANDIDATE_TERMS
_RIDGES = (3.0, 30.0, 300.0)  # candidate precisions of a response's coefficients
_HELD_OUT = 4  # one in so many trials is used to choose the precision
_RARE = -3.0  # logit of a response before training


class Weights(NamedTuple):
    """The model's coefficients, in logits."""

    weekday: tuple[float, ...]  # [7] of viewing without the message, Monday first
    organic: tuple[float, ...]  # [ORGANIC_TERMS] of the same
    member: tuple[float, ...]  # [MEMBER_TERMS] of a response to the message
    candidate: tuple[float, ...]  # [CANDIDATE_TERMS] likewise
    channel: tuple[float, ...]  # [C] likewise


_SIZES = {
    "weekday": _DAYS, "organic": ORGANIC_TERMS, "member": MEMBER_TERMS,
    "candidate": CANDIDATE_TERMS,
}  # fmt: skip
UNTRAINED = Weights(
    (0.0,) * _DAYS,
    (0.0,) * ORGANIC_TERMS,
    (0.0,) * MEMBER_TERMS,
    (1.0,) + (0.0,) * (CANDIDATE_TERMS - 1),
    (_RARE,),  # one rate for all channels, however many
)


@kernel
def no_view_probability(
    weights: Float32, by_member: Float32, by_channel: Float32, launches: Float32, day: Integer
) -> np.float32:
    """Return the probability that a member does not view today without the message."""
    logit = np.float32(weights[day % _DAYS])
    terms = organic_terms(by_member, by_channel, launches, day)
    for k in range(ORGANIC_TERMS):
        logit += weights[_DAYS + k] * terms[k]
    return ONE - logistic(np.float32(logit))


@kernel
def member_logit(
    weights: Float32,
    by_member: Float32,
    by_channel: Float32,
    by_topic: Float32,
    c: Integer,
    day: Integer,
) -> np.float32:
    """Return a member's part of the logit of responding to a message on channel c."""
    logit = weights[min(_CHANNEL + c, weights.shape[0] - 1)]  # one for all channels if untrained
    terms = member_terms(by_member, by_channel, by_topic, c, day)
    for k in range(MEMBER_TERMS):
        logit += weights[_MEMBER + k] * terms[k]
    return np.float32(logit)


@kernel
def candidate_logit(
    weights: Float32,
    by_topic: Float32,
    topic: Integer,
    quality: np.float32,
    launch: np.float32,
    day: Integer,
) -> np.float32:
    """Return a candidate's part of the logit of responding to it."""
    logit = np.float32(0)
    terms = candidate_terms(by_topic, topic, quality, launch, day)
    for k in range(CANDIDATE_TERMS):
        logit += weights[_CANDIDATE + k] * terms[k]
    return logit


@driver(RANKER_SIGNATURE)
def uplift_rank(
    opportunity: Opportunity,
    topics: UInt8,
    qualities: Float32,
    log: Log,
    launches: Float32,
    ranking: Float32,
) -> tuple[int, float]:
    """Return the candidate of the greatest effect and that effect, a difference in probability."""
    i, day = opportunity.row, opportunity.day
    views, channels, logged = log.by_member[i], log.by_channel[i], log.by_topic[i]
    best, best_logit = 0, np.float32(-np.inf)
    for j in range(topics.shape[0]):
        topic = topics[j]
        logit = candidate_logit(ranking, logged, topic, qualities[j], launches[topic], day)
        if logit > best_logit:
            best, best_logit = j + 1, logit
    logit = best_logit + member_logit(ranking, views, channels, logged, opportunity.channel, day)
    free = no_view_probability(ranking, views, channels, launches, day)
    return best, float(free * logistic(logit))


@dataclass(frozen=True, kw_only=True)
class UpliftSettings(Settings):
    """Settings of :class:`UpliftRanker`."""

    num_members: int = setting(4096, "number of members in the trials", low=1, high=2**24)
    weeks: int = setting(40, "number of weeks of trials", low=1, high=2**16)


@register
class UpliftRanker(FittedRanker):
    """Ranks on the causal effect of a message on viewing within the day, not on open rate.

    Two models are fitted on randomised trials: of viewing without the message (a logistic
    regression on trials without a send), and of a response to the message. A member views either
    anyway or as a response, so that the effect, which is the score, is
    (1 - P(views without)) P(responds). This is a T-learner (Künzel et al. 2019) whose second model
    uses the first one as its base rate. Messages that prevent a view on the same day are outside
    the model.

    Before training it ranks on quality only.
    """

    name = "uplift"
    thread_safe = True
    Settings = UpliftSettings
    settings: UpliftSettings
    learned: Weights = UNTRAINED

    @property
    def function(self) -> RankerFunction:
        """The jitted ranker."""
        return uplift_rank

    @classmethod
    def checked_weights(cls, learned: Weights) -> Weights:
        """Return the weights after a check.

        Raises:
            ValueError: a weight is not a finite number, or there are too few or too many.
        """
        for name, values in learned._asdict().items():
            size = _SIZES.get(name, len(values) if isinstance(values, tuple | list) else 0)
            if not (isinstance(values, tuple | list) and len(values) == size > 0):
                raise ValueError(f"ranker weights {name} are {values!r}; allowed are {size or 'C'}")
            for value in values:
                if not is_number(value):
                    raise ValueError(f"ranker weight {name} has {value!r}; allowed: finite numbers")
        return Weights(*(tuple(values) for values in learned))

    def schedule(self, world: World, total_opportunities: None = None) -> Schedule:
        """Return what its trials come to."""
        return schedule_of_logs(world, self.settings.num_members, self.settings.weeks)

    def learn(self, world: World, *, seed: int = 0) -> Self:
        """Fit both models on randomised trials; see :meth:`BaseRanker.learn`.

        The precision of the response's coefficients is chosen on trials that are held out.

        Raises:
            ValueError: no trial was followed by a view, or all were.
        """
        num_members, weeks = self.settings.num_members, self.settings.weeks
        self.opportunities = num_members * weeks * world.slots_per_week
        self._fit(collect_trials(world, num_members, weeks, seed), world)
        return self

    def learn_from_log(self, log: "EventLog", *, seed: int = 0, max_rows: int = MAX_ROWS) -> Self:
        """Fit both models on the log's opportunities at which chance decided whether to send.

        Args:
            log: the log, with what the candidates were and with decisions to hold.
            seed: decides which trials are used, where there are more than ``max_rows``.
            max_rows: number of trials that are used at most.

        Raises:
            ValueError: the log lacks sends or decisions to hold that were left to chance, or no
                trial was followed by a view, or all were.
        """
        self._fit(trials_of(log, seed, max_rows), log.world)
        self.opportunities = 0
        return self

    def _fit(self, trials: Trials, world: World) -> None:
        num_channels, sent = len(world.channels), trials.sent
        held, treated = take_rows(trials, ~sent), take_rows(trials, sent)
        organic, _ = logistic_regression(_viewing(held), held.viewed.astype(np.float64))
        base = 1 / (1 + np.exp(-_viewing(treated) @ organic))
        response = _respond(treated, base, num_channels)
        parts = np.split(response, [MEMBER_TERMS, MEMBER_TERMS + CANDIDATE_TERMS])
        parts = [organic[:_DAYS], organic[_DAYS:], *parts]
        self.learned = Weights(*(tuple(map(float, part)) for part in parts))

    def check_world(self, world: World) -> None:
        """Raise ValueError if the ranker learned in a world with other channels."""
        known = len(self.learned.channel)
        if known not in (1, len(world.channels)):  # one rate serves all channels before training
            raise ValueError(
                f"ranker learned on {known} channels; {len(world.channels)} are needed for "
                f"{world.channels}"
            )


def _viewing(trials: Trials) -> Float64:
    """Return the features of viewing without the message, [B, 7 + ORGANIC_TERMS]."""
    weekdays = trials.weekday[:, None] == np.arange(_DAYS)
    return np.column_stack([weekdays, trials.organic]).astype(np.float64)


def _respond(sent: Trials, base: Float64, num_channels: int) -> Float64:
    """Return the coefficients of the response, with the channels' intercepts last."""
    channels = sent.channel[:, None] == np.arange(num_channels)
    x = np.column_stack([sent.response, channels]).astype(np.float64)
    y, chooses = sent.viewed.astype(np.float64), np.arange(len(x)) % _HELD_OUT == 0
    fits = []
    for ridge in _RIDGES:
        fit = response_regression(x[~chooses], y[~chooses], base[~chooses], ridge, num_channels)
        fits.append((response_likelihood(x[chooses], y[chooses], base[chooses], fit), ridge))
    return response_regression(x, y, base, max(fits)[1], num_channels)
