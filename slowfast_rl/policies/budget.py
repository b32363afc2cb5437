"""What a training budget comes to, and how CPU time is measured."""

from collections.abc import Callable
from math import inf
from numbers import Integral, Real
from typing import NamedTuple

from slowfast_rl.members.workers import cpu_seconds
from slowfast_rl.members.world import World

Progress = Callable[[int], object]


class Schedule(NamedTuple):
    """What a training comes to.

    Attributes:
        opportunities: send opportunities played in all, at most; None if they are not known before.
        members: members simulated side by side; None if the learner does not say.
        rounds: how often the learner collects data and fits; None likewise.
        unit: what the learner calls a round, such as "rollout".
        on_top: opportunities that come on top, for parts that are fitted first and whose own
            settings say to how much; None if they do not say before.
    """

    opportunities: int | None
    members: int | None = None
    rounds: int | None = None
    unit: str = "round"
    on_top: int | None = 0

    @property
    def fits(self) -> str:
        """What comes on top, for the end of a line; empty if nothing does."""
        if self.on_top is None:
            return ", and as much as the settings of its parts say"
        return f", and {self.on_top:,} by the settings of its parts" if self.on_top else ""

    def __str__(self) -> str:
        """Return the schedule in one line."""
        if self.opportunities is None:
            return "as much as its settings say"
        if self.opportunities == 0:
            return "nothing to learn"
        parts = [f"at most {self.opportunities:,} opportunities"]
        if self.rounds is not None:
            parts.append(f"{self.rounds} {self.unit}{'s' * (self.rounds > 1)}")
        if self.members is not None:
            parts.append(f"{self.members:,} members")
        return ", ".join(parts) + self.fits


def schedule_of_logs(world: World, num_members: int, weeks: int) -> Schedule:
    """Return what logs of some members and weeks come to, where no budget decides."""
    return Schedule(num_members * weeks * world.slots_per_week)


def schedule(
    total_opportunities: int | None,
    *,
    members: int,
    set_up: int,
    per_round: int,
    least_rounds: int,
    least_members: int = 2,
    unit: str = "round",
) -> Schedule:
    """Return what a budget comes to: whole rounds of the wanted members, or rounds of fewer.

    The budget is rounded up to whole rounds. A budget that does not pay for ``least_rounds`` is
    spent on that many rounds of fewer members instead.

    Args:
        total_opportunities: the budget; None if CPU time is the budget.
        members: simulated side by side, where the budget allows it.
        set_up: opportunities of a member before the first round.
        per_round: opportunities of a member in a round.
        least_rounds: rounds without which the learner learns little.
        least_members: members without which a round cannot be played.
        unit: what the learner calls a round.
    """
    if total_opportunities is None:
        return Schedule(None, members, None, unit)
    least = set_up + least_rounds * per_round
    if members * least > total_opportunities:
        members = max(total_opportunities // least, min(least_members, members))
        return Schedule(members * least, members, least_rounds, unit)
    rounds = -(-(total_opportunities - members * set_up) // (members * per_round))
    return Schedule(members * (set_up + rounds * per_round), members, rounds, unit)


def check_budget(total_opportunities: int | None, total_cpu_seconds: float | None) -> None:
    """Pass exactly one budget above 0.

    Raises:
        ValueError: anything else.
    """
    if (total_opportunities is None) == (total_cpu_seconds is None):
        raise ValueError(
            f"total_opportunities is {total_opportunities} and total_cpu_seconds is "
            f"{total_cpu_seconds}; exactly one of them is needed"
        )
    for name, value, kind, what in (
        ("total_opportunities", total_opportunities, Integral, "a whole number above 0"),
        ("total_cpu_seconds", total_cpu_seconds, Real, "a number above 0"),
    ):
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            raise ValueError(f"{name} is {value!r}; allowed is {what}")
        if value is not None and not 0 < value < inf:
            raise ValueError(f"{name} is {value}; allowed is above 0 and finite")


class Stopwatch:
    """CPU seconds since it was made, those spent in :meth:`call_untimed` not counted.

    Those of workers in other processes count too.

    Args:
        spent: CPU seconds that it begins with.
    """

    def __init__(self, spent: float = 0.0) -> None:
        self._start = cpu_seconds() - spent

    @property
    def spent(self) -> float:
        """CPU seconds."""
        return cpu_seconds() - self._start

    def call_untimed(self, progress: Progress, steps: int) -> None:
        """Call ``progress`` without counting its time."""
        left = cpu_seconds()
        progress(steps)
        self._start += cpu_seconds() - left

    def untimed(self, progress: Progress | None) -> Progress | None:
        """Return ``progress`` as a function whose time is not counted."""
        return None if progress is None else lambda steps: self.call_untimed(progress, steps)
