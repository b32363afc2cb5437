"""One member's life in plain Python, written from the member model's page.

Slow and readable. It shares the library's random numbers, its traits and its launch calendar (each
has tests of its own), and none of its code: equations come from ``numpy_equations``, order of
events from the page.
"""

from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

import numpy as np

from slowfast_rl.benchmarks.numpy_equations import Equations
from slowfast_rl.members.random import Domain, philox
from slowfast_rl.members.world import World

NEAR = 1e-5  # a uniform this near its threshold may fall on either side in float32


@dataclass
class Count:
    """An event's count this week and last week, and its averages over 4 and 20 weeks."""

    this: float = 0
    last: float = 0
    mean_4: float = 0
    mean_20: float = 0

    def roll(self) -> None:
        self.last = self.this
        self.mean_4 += (self.this - self.mean_4) / 4
        self.mean_20 += (self.this - self.mean_20) / 20
        self.this = 0

    def values(self) -> list[float]:
        return [self.this, self.last, self.mean_4, self.mean_20]


@dataclass
class ChannelLog:
    """What is logged of one channel."""

    sends: Count = field(default_factory=Count)
    opens: Count = field(default_factory=Count)
    dismissals: Count = field(default_factory=Count)
    opt_outs: Count = field(default_factory=Count)
    light: list[float] = field(default_factory=lambda: [0, 0, 0])
    heavy: list[float] = field(default_factory=lambda: [0, 0, 0])
    last_sent: float | None = None

    def counts(self) -> list[Count]:
        return [self.sends, self.opens, self.dismissals, self.opt_outs]


@dataclass
class TopicLog:
    """What is logged of one topic."""

    sends: int = 0
    opens: int = 0
    last_sent: float | None = None


@dataclass
class Ledger:
    """The parts of a week's reward."""

    views: float = 0
    causal_opens: float = 0
    sends: int = 0
    opt_outs: int = 0
    churned: int = 0
    ignored: int = 0


@dataclass
class Happened:
    """One slot's events."""

    sent: bool = False
    opened: bool = False
    dismissed: bool = False
    opted_out: bool = False
    viewed: bool = False

    def values(self) -> list[bool]:
        return [self.sent, self.opened, self.dismissed, self.opted_out, self.viewed]


class Life:
    """One member from Monday 00:00 of week 0."""

    def __init__(
        self,
        world: World,
        traits: Any,
        *,
        seed: int,
        stream: int,
        member: int,
        calendar: np.ndarray,
        sampled: bool,
    ) -> None:
        self.world, self.traits, self.calendar, self.sampled = world, traits, calendar, sampled
        self.key, self.member = (seed, stream), member
        self.equations = Equations(world)
        channels = range(len(world.channels))
        self.H = float(traits.base_rate)
        self.G = 1.0
        self.F = [0.0 for _ in channels]
        self.O = [bool(traits.opt_in_start[c]) for c in channels]
        self.alive, self.week = True, 0
        self.channels = [ChannelLog() for _ in channels]
        self.topics = [TopicLog() for _ in range(world.num_topics)]
        self.viewing_days = Count()
        self.ledger, self.last_ledger = Ledger(), Ledger()
        self.doubtful = False

    def step(self, s: int, action: int) -> tuple[Happened, float]:
        """Live through slot s; the days without slots before the next one belong to it."""
        schedule = self.world.schedule
        if not self.alive:
            if s == len(schedule) - 1:
                self.week += 1
                self.last_ledger = Ledger()
            return Happened(), 0.0
        before = self.utility(self.ledger)
        weekday = schedule[s].weekday
        today = [k for k, slot in enumerate(schedule) if slot.weekday == weekday]
        if s == 0:
            self.days_without_slots(0, weekday)
        if s == today[0]:
            self.start_day(weekday)
        happened = self.slot(s, today.index(s) + 1, len(today), action)
        if s == today[-1]:
            self.end_day()
            following = schedule[s + 1].weekday if s + 1 < len(schedule) else 7
            self.days_without_slots(weekday + 1, following)
        if s + 1 < len(schedule):
            return happened, self.utility(self.ledger) - before
        self.end_week()
        return happened, self.utility(self.last_ledger) - before

    def utility(self, ledger: Ledger) -> float:
        weights = self.world.reward
        return (
            weights.viewing_day * ledger.views
            + weights.causal_open * ledger.causal_opens
            - weights.message_cost * ledger.sends
            - weights.opt_out * ledger.opt_outs
            - weights.churn * ledger.churned
        )

    def uniforms(self, domain: Domain, time: int, block: int = 0) -> list[float]:
        return [w // 2**8 / 2**24 for w in self.words(domain, time, block)]

    def words(self, domain: Domain, time: int, block: int) -> list[int]:
        return [int(w) for w in philox(*self.key, self.member, time, block, int(domain))]

    def happens(self, uniform: float, probability: float) -> bool:
        self.doubtful |= abs(uniform - probability) < NEAR
        return uniform < probability

    def start_day(self, weekday: int) -> None:
        self.day = 7 * self.week + weekday
        launches = self.calendar[self.day].astype(float)
        kappa = float(self.traits.fatigue_sensitivity)
        self.p_day = float(
            self.equations.p_day(
                float(self.traits.base_logit),
                self.H,
                self.G,
                kappa,
                sum(self.F),
                launches.sum(),
                weekday,
            )
        )
        self.organic_uniform = self.uniforms(Domain.DAY, self.day)[0]
        self.organic = self.happens(self.organic_uniform, self.p_day)
        self.viewed = False

    def organic_in(self, s: int, n: int) -> bool:
        """Whether the day's organic view falls in its slot s of n, by the same uniform."""
        place = self.organic_uniform / self.p_day * n
        self.doubtful |= self.organic and abs(place - round(place)) < 1e-4
        return self.organic and s - 1 <= place < s

    def slot(self, s: int, number: int, n: int, action: int) -> Happened:
        happened = Happened()
        c = self.world.schedule[s].channel
        organic, responded, p_m = self.organic_in(number, n), False, 0.0
        if action and not self.O[c]:
            self.ledger.ignored += 1
            action = 0
        if action:
            responded, p_m = self.receive(s, c, action, organic, happened)
        happened.viewed = (organic or responded) and not self.viewed
        if self.sampled:
            self.ledger.views += happened.viewed
            self.ledger.causal_opens += responded
        else:
            if not self.viewed:
                hazard = self.equations.hazard(self.p_day, number, n)
                self.ledger.views += self.equations.expected_view(hazard, p_m)
            self.ledger.causal_opens += p_m
        self.viewed |= happened.viewed
        return happened

    def candidate(self, time: int, j: int) -> tuple[int, float]:
        """Topic and quality of candidate j = 1..K: one word holds both."""
        block, lane = divmod(j - 1, 4)
        product = self.words(Domain.CANDIDATE, time, block)[lane] * self.world.num_topics
        topic, rest = product // 2**32, product % 2**32
        return topic, NormalDist().inv_cdf((rest // 2**9 + 0.5) / 2**23)

    def receive(
        self, s: int, c: int, action: int, organic: bool, happened: Happened
    ) -> tuple[bool, float]:
        """A send: everything uses the state before it; fatigue comes last."""
        equations, traits, log = self.equations, self.traits, self.channels[c]
        time = self.week * len(self.world.schedule) + s
        d, quality = self.candidate(time, action)
        topic = self.topics[d]
        r = equations.relevance(quality, float(traits.taste[d]), float(self.calendar[self.day, d]))
        kappa = float(traits.fatigue_sensitivity)
        E = equations.felt(kappa, self.F[c], sum(self.F) - self.F[c])
        since = np.inf if topic.last_sent is None else self.day - topic.last_sent
        p_m = float(equations.response(c, float(traits.responsiveness[c]), r, since, E, self.H))
        respond, tap, dismiss, leave = self.uniforms(Domain.OUTCOME, time)
        responded = self.happens(respond, p_m)
        opened = responded or (organic and self.happens(tap, self.world.response.tap[c]))
        happened.sent, happened.opened = True, opened
        if not opened:
            psi, phi = float(traits.dismissal_propensity), float(traits.opt_out_frailty[c])
            happened.dismissed = self.happens(dismiss, equations.dismissal(c, psi, E))
            self.G = float(equations.goodwill_after_unopened(c, self.G, kappa))
            happened.opted_out = self.happens(leave, equations.opt_out(c, phi, E, r))
            if happened.opted_out:
                self.O[c] = False
        self.F[c] = float(equations.fatigue_after_send(self.F[c], r, opened))
        log.sends.this += 1
        log.opens.this += opened
        log.dismissals.this += happened.dismissed
        log.opt_outs.this += happened.opted_out
        topic.sends += 1
        topic.opens += opened
        log.last_sent = topic.last_sent = self.day
        self.ledger.sends += 1
        self.ledger.opt_outs += happened.opted_out
        return responded, p_m

    def end_day(self) -> None:
        self.H = float(self.equations.habit_after_day(self.H, self.viewed))
        self.F = [float(self.equations.fatigue_after_day(c, F)) for c, F in enumerate(self.F)]
        self.G = float(self.equations.goodwill_after_day(self.G))
        self.viewing_days.this += self.viewed

    def days_without_slots(self, first: int, stop: int) -> None:
        for weekday in range(first, stop):
            self.start_day(weekday)
            self.viewed = self.organic
            self.ledger.views += self.organic if self.sampled else self.p_day
            self.end_day()

    def end_week(self) -> None:
        heavy = sum(log.sends.last for log in self.channels) > 4
        for log in self.channels:
            dose = log.heavy if heavy else log.light
            for k, count in enumerate((log.sends, log.opens, log.dismissals)):
                dose[k] += count.this
            for count in log.counts():
                count.roll()
        self.viewing_days.roll()
        for c, log in enumerate(self.channels):
            if not self.O[c] and not log.opt_outs.last:
                block, lane = divmod(1 + c, 4)
                u = self.uniforms(Domain.WEEK, self.week, block)[lane]
                self.O[c] = self.happens(u, self.world.opt_out.return_rate[c])
        if self.happens(self.uniforms(Domain.WEEK, self.week)[0], self.equations.churn(self.H)):
            self.alive = False
            self.ledger.churned = 1
        self.last_ledger, self.ledger = self.ledger, Ledger()
        self.week += 1
