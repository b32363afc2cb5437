"""The plans of a log's members, given to simulated members."""

from typing import NamedTuple

import numpy as np

from slowfast_rl.logs.weekly_log import WeeklyLog
from slowfast_rl.members.arrays import Bool, Int64, UInt32
from slowfast_rl.members.random import Domain, ExplorationStream, random_words

_PLANS, _OPT_INS = 0, 1 << 20  # added to the week, so that two uses draw different numbers
_GROUPS = 7  # of members by how often their plans change: every week, every second, fourth, …


class _Week(NamedTuple):
    """The members who have a plan in a week, sorted by opt-ins and then by group."""

    members: Int64  # [B]
    starts: Int64  # [Q + 1] where each of the Q pairs of opt-ins and group begins, and B


class LoggedPlans:
    """Plans by week of a log's members, which simulated members follow.

    A simulated member follows a random member of the log with the same opt-ins, with the same
    plans in the same weeks. It goes on with another one when the plan of the first is unknown, as
    after its churn, or when the first has left a channel that the simulated one has not: it was
    perhaps only given plans without it. The other one's plans change about as often: a member who
    holds plans goes on to hold them.

    Args:
        log: the log, of M members in T weeks.

    Raises:
        ValueError: nobody has a plan in some week.
    """

    def __init__(self, log: WeeklyLog) -> None:
        self._plans: Int64 = log.plans.astype(np.int64)
        self._bits = 1 << np.arange(log.opted_in.shape[2])
        self._patterns: Int64 = log.opted_in @ self._bits  # [T, M] opt-ins, one bit per channel
        self._seen = np.unique(self._patterns)
        self._group = _groups(self._plans)
        self._weeks = [self._week(t) for t in range(len(self._plans))]
        self._opted_in = log.opted_in[0][self._weeks[0].members]

    def _week(self, week: int) -> _Week:
        known = np.flatnonzero(self._plans[week] >= 0)
        if not known.size:
            raise ValueError(
                f"the log has no plan in week {week}; allowed is a log with plans, or planner="
            )
        pattern = np.searchsorted(self._seen, self._patterns[week, known])
        pair = pattern * _GROUPS + self._group[known]
        counts = np.bincount(pair, minlength=len(self._seen) * _GROUPS)
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return _Week(known[np.argsort(pair, kind="stable")], starts)

    def opted_in(self, seed: int, members: Int64) -> Bool:
        """Return opt-ins of random members at the beginning of the log, [n, C]."""
        words = _words(seed, members, _OPT_INS)
        return np.asarray(self._opted_in[_below(words, len(self._opted_in))], np.bool_)

    def follow(
        self, followed: Int64, week: int, opted_in: Bool, seed: int, members: Int64
    ) -> tuple[Int64, Int64]:
        """Return which members of the log n simulated ones follow now, and their plans, [n] each.

        Args:
            followed: [n] which ones they followed until now, -1 for none.
            week: of the log.
            opted_in: [n, C] of the simulated members.
            seed: of the choice.
            members: [n] ids of the simulated members.
        """
        plans, own = self._plans[week], opted_in @ self._bits
        lost = (followed < 0) | (plans[followed] < 0)
        rows = np.flatnonzero(lost | (own & ~self._patterns[week, followed] != 0))
        start, stop = self._pool(week, own[rows], followed[rows])
        nobody = start == stop  # in the log has these opt-ins now
        start[nobody], stop[nobody] = 0, len(self._weeks[week].members)
        words = _words(seed, members[rows], _PLANS + week)
        chosen = self._weeks[week].members[start + _below(words, stop - start)]
        followed = followed.copy()
        followed[rows] = np.where(nobody & ~lost[rows], followed[rows], chosen)
        return followed, plans[followed]

    def _pool(self, week: int, own: Int64, followed: Int64) -> tuple[Int64, Int64]:
        """Return where those that B members may follow begin and end in the week's members, [B].

        They have the same opt-ins, and if there are any, the group of the member followed before.
        """
        starts, last = self._weeks[week].starts, len(self._seen) - 1
        pattern = np.minimum(np.searchsorted(self._seen, own), last)
        pair = pattern * _GROUPS + self._group[followed]
        start, stop = starts[pair].copy(), starts[pair + 1].copy()
        any_group = (start == stop) | (followed < 0)
        start[any_group] = starts[pattern * _GROUPS][any_group]
        stop[any_group] = starts[(pattern + 1) * _GROUPS][any_group]
        unseen = self._seen[pattern] != own
        start[unseen] = stop[unseen] = 0
        return start, stop


def _groups(plans: Int64) -> Int64:
    """Return the group of each member by how often its plan changes, [M].

    Group g has members whose plan changes about every 2^g weeks.
    """
    known = (plans[1:] >= 0) & (plans[:-1] >= 0)
    changes = (known & (plans[1:] != plans[:-1])).sum(axis=0)
    rate = (changes + 0.25) / (known.sum(axis=0) + 0.5)
    groups: Int64 = np.clip(np.round(-np.log2(rate)), 0, _GROUPS - 1).astype(np.int64)
    return groups


def _words(seed: int, members: Int64, time: int) -> UInt32:
    """Return a random word for each member, [n]."""
    return random_words(
        seed, ExplorationStream.RESAMPLED_PLANS, members, np.full(len(members), time),
        Domain.EXPLORATION,
    )  # fmt: skip


def _below(words: UInt32, count: Int64 | int) -> Int64:
    """Return a random number below a count for each word, [n]."""
    chosen: Int64 = np.asarray(words.astype(np.int64) * count) >> 32
    return chosen
