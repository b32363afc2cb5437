"""The plans of a log's members, given to simulated members."""

import numpy as np

from slowfast_rl.logs.weekly_log import WeeklyLog
from slowfast_rl.members.arrays import Bool, Int64
from slowfast_rl.members.random import Domain, ExplorationStream, random_words

_PLANS, _OPT_INS = 0, 1 << 20  # added to the week, so that two uses draw different numbers


class LoggedPlans:
    """Plans by week of a log's members, which simulated members follow.

    A simulated member follows a random member of the log with the same opt-ins, with the same
    plans in the same weeks. It goes on with another one when the plan of the first is unknown, as
    after its churn, or when their opt-ins differ: who had left a channel was perhaps only given
    plans without it.

    Args:
        log: the log, of M members in T weeks.

    Raises:
        ValueError: nobody has a plan in some week.
    """

    def __init__(self, log: WeeklyLog) -> None:
        self.weeks, self.num_members = log.plans.shape
        self._plans: Int64 = log.plans.astype(np.int64)
        self._bits = 1 << np.arange(log.opted_in.shape[2])
        self._patterns: Int64 = log.opted_in @ self._bits  # [T, M] opt-ins, one bit per channel
        self._known = [np.flatnonzero(row >= 0) for row in self._plans]
        for week, known in enumerate(self._known):
            if not known.size:
                raise ValueError(
                    f"the log has no plan in week {week}; allowed is a log with plans, or planner="
                )
        self._of_pattern = [
            {int(p): known[row[known] == p] for p in np.unique(row[known])}
            for row, known in zip(self._patterns, self._known, strict=True)
        ]
        self._opted_in = log.opted_in[0][self._known[0]]

    def opted_in(self, seed: int, members: Int64) -> Bool:
        """Return opt-ins of random members at the beginning of the log, [n, C]."""
        chosen = _below(seed, members, _OPT_INS, len(self._opted_in))
        return np.asarray(self._opted_in[chosen], np.bool_)

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
        plans, patterns = self._plans[week], self._patterns[week]
        own, followed = opted_in @ self._bits, followed.copy()
        lost = (followed < 0) | (plans[followed] < 0)
        change = lost | (patterns[followed] != own)
        for pattern in np.unique(own[change]):
            others = self._of_pattern[week].get(int(pattern))
            if others is None:  # nobody in the log has these opt-ins now
                some, others = np.flatnonzero(lost & (own == pattern)), self._known[week]
            else:
                some = np.flatnonzero(change & (own == pattern))
            chosen = _below(seed, members[some], _PLANS + week, len(others))
            followed[some] = others[chosen]
        return followed, plans[followed]


def _below(seed: int, members: Int64, time: int, count: int) -> Int64:
    """Return a random number below ``count`` for each member, [n]."""
    words = random_words(
        seed, ExplorationStream.RESAMPLED_PLANS, members, np.full(len(members), time),
        Domain.EXPLORATION,
    )  # fmt: skip
    return (words.astype(np.int64) * count) >> 32
