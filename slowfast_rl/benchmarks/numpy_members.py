"""The whole member model in NumPy: what a careful implementation without a compiler comes to.

It keeps what a population keeps, state and log, and plays the default executor (exact pacer,
quality ranker): tests give it a population's random numbers and find that population's members.
Arrays have one column per member, so that every operation is one pass over contiguous memory.
"""

from typing import Protocol

import numpy as np

from slowfast_rl.benchmarks.numpy_equations import Equations
from slowfast_rl.members.arrays import Float32, Float64, Int32, Int64
from slowfast_rl.members.population import Population
from slowfast_rl.members.random import Domain

_NEVER = np.float32(-1e6)  # day of a send that never was
_SENDS, _OPENS, _DISMISSALS, _OPT_OUTS = range(4)
_THIS, _LAST, _MEAN_4, _MEAN_20 = range(4)
_LIGHT_WEEK = 4  # sends


class Luck(Protocol):
    """Where random numbers come from."""

    def uniforms(self, domain: Domain, time: int, count: int, rows: Int64 | None) -> Float32:
        """Return ``count`` uniform numbers for each of some members, or of all, [count, N]."""
        ...

    def candidates(self, time: int, count: int, rows: Int64) -> tuple[Int64, Float32]:
        """Return the topics and the qualities of candidates of some members, [count, N] each."""
        ...


class GeneratorLuck:
    """Random numbers of a NumPy generator, whatever the domain and the time.

    Args:
        seed: of the generator.
        num_members: N.
        num_topics: D.
    """

    def __init__(self, seed: int, num_members: int, num_topics: int) -> None:
        self._generator = np.random.Generator(np.random.SFC64(seed))  # the fastest of NumPy's
        self._all, self._topics = num_members, num_topics

    def uniforms(self, domain: Domain, time: int, count: int, rows: Int64 | None) -> Float32:
        """Return the next numbers."""
        size = count, self._all if rows is None else len(rows)
        return self._generator.random(size, np.float32)

    def candidates(self, time: int, count: int, rows: Int64) -> tuple[Int64, Float32]:
        """Return the next candidates."""
        size = count, len(rows)
        topics = self._generator.integers(self._topics, size=size)
        return topics, self._generator.standard_normal(size, np.float32)


class NumpyMembers:
    """N members from Monday 00:00 of week 0, with expected views in the reward.

    Args:
        population: whose world, traits and launches they have; it stays as it is.
        luck: where random numbers come from.
    """

    def __init__(self, population: Population, luck: Luck) -> None:
        population.keep_calendar()
        self.world, self.luck = population.world, luck
        self.equations = Equations(self.world)
        traits = population.simulation.traits
        self.kappa, self.psi = traits.fatigue_sensitivity.copy(), traits.dismissal_propensity.copy()
        self.base_logit = traits.base_logit.copy()
        self.A = np.ascontiguousarray(traits.responsiveness.T)  # [C, N]
        self.phi = np.ascontiguousarray(traits.opt_out_frailty.T)  # [C, N]
        self.theta = np.ascontiguousarray(traits.taste.T)  # [D, N]
        self.launches = population.simulation.launches
        n, channels, topics = len(self.kappa), len(self.world.channels), self.world.num_topics
        self.H, self.G = traits.base_rate.copy(), np.ones(n, np.float32)
        self.F = np.zeros((channels, n), np.float32)
        self.O = traits.opt_in_start.T > 0  # [C, N]
        self.alive, self.week = np.ones(n, bool), 0
        self.counts = np.zeros((4, 4, channels, n), np.float32)  # by event and window
        self.doses = np.zeros((2, 3, channels, n), np.float32)  # after light and heavy weeks
        self.last_sent = np.full((channels, n), _NEVER)
        self.viewing_days = np.zeros((4, n), np.float32)  # by window
        self.topic_counts = np.zeros((2, topics, n), np.float32)  # sends, opens
        self.topic_sent = np.full((topics, n), _NEVER)
        self.views, self.causal_opens = np.zeros((2, n), np.float32)
        days = [slot.weekday for slot in self.world.schedule]
        self._days = {day: [s for s, d in enumerate(days) if d == day] for day in range(7)}
        shared = [slot.channel for slot in self.world.schedule]
        self._left = [shared[s:].count(c) for s, c in enumerate(shared)]

    def run_week(self, target: Int32) -> Float64:
        """Simulate a week under plans [N, C], and return the rewards [N]."""
        self.views[:] = self.causal_opens[:] = 0
        lived = self.alive.copy()
        plan = np.ascontiguousarray(target.T, np.float32)  # [C, N]
        for weekday, slots in self._days.items():
            day = 7 * self.week + weekday
            self._open_day(day, weekday, max(len(slots), 1))
            for number, s in enumerate(slots):
                self._take_slot(s, number, len(slots), day, plan)
            if not slots:
                self.viewed = self.organic_slot >= 0
                self.views += self.p_day
            self._close_day()
        return self._close_week(lived)

    def _open_day(self, day: int, weekday: int, slots: int) -> None:
        launched = float(self.launches[day].sum())
        self.p_day = self.equations.p_day(
            self.base_logit, self.H, self.G, self.kappa, self.F.sum(axis=0), launched, weekday
        )
        (u,) = self.luck.uniforms(Domain.DAY, day, 1, None)
        place = np.minimum(u / self.p_day * slots, slots - 1)
        self.organic_slot = np.where(u < self.p_day, place, -1).astype(np.int8)
        self.viewed = np.zeros(len(u), bool)

    def _take_slot(self, s: int, number: int, slots: int, day: int, plan: Float32) -> None:
        c, time = self.world.schedule[s].channel, self.week * len(self.world.schedule) + s
        wanted = plan[c] - self.counts[_SENDS, _THIS, c]
        rows = np.flatnonzero((wanted > 0) & self.O[c] & self.alive)
        (coin,) = self.luck.uniforms(Domain.PACER, time, 1, rows)
        rows = rows[coin * self._left[s] < wanted[rows]]
        arrives = self.organic_slot == number
        hazard = self.equations.hazard(self.p_day, number + 1, slots)
        seen = self.equations.expected_view(hazard, np.float32(0))
        if len(rows):
            responded, p_m = self._send(c, time, day, rows, arrives[rows])
            seen[rows] = self.equations.expected_view(hazard[rows], p_m)
            self.causal_opens[rows] += p_m
            arrives[rows] |= responded
        self.views += np.where(self.viewed, np.float32(0), seen)
        self.viewed |= arrives

    def _send(
        self, c: int, time: int, day: int, rows: Int64, organic: np.ndarray
    ) -> tuple[np.ndarray, Float32]:
        """Send each member's best candidate; return who responds and with what probability."""
        equations, each = self.equations, np.arange(len(rows))
        topics, qualities = self.luck.candidates(time, self.world.num_candidates, rows)
        best = qualities.argmax(axis=0)
        d, quality = topics[best, each], qualities[best, each]
        r = equations.relevance(quality, self.theta[d, rows], self.launches[day, d])
        kappa, own = self.kappa[rows], self.F[c, rows]
        E = equations.felt(kappa, own, self.F[:, rows].sum(axis=0) - own)
        since = day - self.topic_sent[d, rows]
        p_m = equations.response(c, self.A[c, rows], r, since, E, self.H[rows])
        respond, tap, dismiss, leave = self.luck.uniforms(Domain.OUTCOME, time, 4, rows)
        responded = respond < p_m
        opened = responded | (organic & (tap < self.world.response.tap[c]))
        dismissed = ~opened & (dismiss < equations.dismissal(c, self.psi[rows], E))
        left = ~opened & (leave < equations.opt_out(c, self.phi[c, rows], E, r))
        goodwill = self.G[rows]
        lost = equations.goodwill_after_unopened(c, goodwill, kappa)
        self.G[rows] = np.where(opened, goodwill, lost)
        self.F[c, rows] = equations.fatigue_after_send(own, r, opened)
        self.O[c, rows] = ~left
        counts = self.counts[:, _THIS, c]
        counts[_SENDS, rows] += 1
        counts[_OPENS, rows] += opened
        counts[_DISMISSALS, rows] += dismissed
        counts[_OPT_OUTS, rows] += left
        self.topic_counts[0, d, rows] += 1
        self.topic_counts[1, d, rows] += opened
        self.last_sent[c, rows] = self.topic_sent[d, rows] = day
        return responded, p_m

    def _close_day(self) -> None:
        equations = self.equations
        self.H = equations.habit_after_day(self.H, self.viewed)
        for c in range(len(self.F)):
            self.F[c] = equations.fatigue_after_day(c, self.F[c])
        self.G = equations.goodwill_after_day(self.G)
        self.viewing_days[_THIS] += self.viewed

    def _close_week(self, lived: np.ndarray) -> Float64:
        channels = len(self.F)
        heavy = self.counts[_SENDS, _LAST].sum(axis=0) > _LIGHT_WEEK
        self.doses[0] += np.where(heavy, np.float32(0), self.counts[:3, _THIS])
        self.doses[1] += np.where(heavy, self.counts[:3, _THIS], np.float32(0))
        for windows in (*self.counts, self.viewing_days):
            windows[_LAST] = windows[_THIS]
            windows[_MEAN_4] += (windows[_THIS] - windows[_MEAN_4]) / 4
            windows[_MEAN_20] += (windows[_THIS] - windows[_MEAN_20]) / 20
            windows[_THIS] = 0
        churn, *again = self.luck.uniforms(Domain.WEEK, self.week, 1 + channels, None)
        for c, rate in enumerate(self.world.opt_out.return_rate):
            self.O[c] |= (self.counts[_OPT_OUTS, _LAST, c] == 0) & (again[c] < rate)
        churned = self.alive & (churn < self.equations.churn(self.H))
        self.alive &= ~churned
        self.week += 1
        weights, last = self.world.reward, self.counts[:, _LAST].sum(axis=1, dtype=np.float64)
        reward = (
            weights.viewing_day * self.views.astype(np.float64)
            + weights.causal_open * self.causal_opens
            - weights.message_cost * last[_SENDS]
            - weights.opt_out * last[_OPT_OUTS]
            - weights.churn * churned
        )
        return np.where(lived, reward, 0.0)
