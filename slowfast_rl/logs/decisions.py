"""The rows of a log that simulated opportunities leave: decisions, and the events that follow."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from slowfast_rl.members.arrays import Bool, Float32, Int32, Int64
from slowfast_rl.members.clock import DAY_SECONDS, WEEK_SECONDS
from slowfast_rl.members.observations import opportunity_observation
from slowfast_rl.members.population import Population
from slowfast_rl.members.state import LAST, THIS, Events, take_rows
from slowfast_rl.members.world import World
from slowfast_rl.policies.columns import columns
from slowfast_rl.policies.contracts import BaseExecutor
from slowfast_rl.policies.guard import hold_forbidden
from slowfast_rl.store import PacingPlan

Columns = dict[str, Any]
CHUNK = 8192  # members decided for at once, which bounds the working memory


class Decided(NamedTuple):
    """The decisions at one slot of N members, B of whom are alive."""

    actions: Int64  # [N] after the guard
    columns: Columns  # [B] of the table ``decisions``


def decide_slot(
    population: Population,
    executor: BaseExecutor,
    plan: PacingPlan,
    plan_rows: Int32,
    living: Int64,
    times: Int64,
    seed: int,
) -> Decided:
    """Decide for the living members at the population's slot, without simulating it.

    Args:
        population: N members.
        executor: the fast policy.
        plan: the plans in force of the B living members.
        plan_rows: [N, 2 C + 1] the same plans, packed.
        living: [B] rows of the living members.
        times: [B] simulated seconds of the slot.
        seed: seed of the executor's coins.
    """
    world, n = population.world, population.num_members
    channel = world.schedule[population.slot].channel
    observed = opportunity_observation(population, plan_rows[:, 0:-1:2])
    actions, propensity = np.zeros(n, np.int64), np.empty(len(living))
    probabilities = np.full((len(living), 1 + world.num_candidates), np.nan)
    ids = population.members
    for first in range(0, max(len(living), 1), CHUNK):
        some = slice(first, first + CHUNK)
        rows = living[some]
        obs, part = observed[rows], take_rows(plan, some)
        choice = executor.choose(world, obs, part, ids[rows], times[some], seed)
        actions[rows], propensity[some] = choice
        known = executor.action_probabilities(world, obs, part)
        if known is not None:
            probabilities[some] = known
    vetoed = hold_forbidden(population, plan_rows, actions)
    known_here = ~np.isnan(probabilities[:, 0])
    if known_here.any():  # those of the action that was executed, over all coins
        executed = probabilities[np.arange(len(living)), actions[living]]
        propensity = np.where(known_here, executed, propensity)
    propensity[vetoed[living]] = 1.0  # the guard left no choice
    return Decided(
        actions,
        {
            "time": times,
            "member": ids[living],
            "channel": [world.channels[channel]] * len(living),
            "action": actions[living].astype(np.int16),
            "propensity": propensity,
            "vetoed": vetoed[living],
            "target": plan.target[:, channel],
            "cap": plan.cap[:, channel],
            "sent_this_week": population.sent_this_week[living, channel],
            "opted_in": population.opted_in[living, channel],
            "probabilities": probabilities,
            **candidates_of(world, observed[living]),
        },
    )


def candidates_of(world: World, obs: Float32) -> Columns:
    """Return topics, qualities and launch flags of the candidates that were observed, [B, K].

    Args:
        world: the world, for the layout of observations.
        obs: [B, F] observations of ``Messaging-v0``.
    """
    first = columns(world)["candidate_1_quality"]
    size = world.num_candidates, 2 + world.num_topics
    each = obs[:, first : first + size[0] * size[1]].reshape(-1, *size)
    return {
        "topics": each[:, :, 2:].argmax(axis=2).astype(np.int16),
        "qualities": np.ascontiguousarray(each[:, :, 0]),
        "launched": each[:, :, 1] > 0.5,
    }


class Watch:
    """Turns what happens to a population, slot by slot, into rows of the table ``outcomes``.

    Args:
        population: N members at the beginning of a week.
    """

    def __init__(self, population: Population) -> None:
        self.population = population
        self._begin_week()

    def events(self, events: Events, opted_in: Bool, now: int, slot: int) -> list[Columns]:
        """Return the outcomes of a slot that was just simulated, and of days that ended with it.

        Args:
            events: of the slot.
            opted_in: [N, C] flags before the slot.
            now: time of the slot in simulated seconds.
            slot: its number in the week.
        """
        world = self.population.world
        channel = world.channels[world.schedule[slot].channel]
        rows = [
            self._rows(getattr(events, field) > 0, name, now, channel, now)
            for field, name in (
                ("opened", "opened"), ("dismissed", "dismissed"), ("opted_out", "opted_out"),
            )
        ]  # fmt: skip
        viewed = events.viewed > 0
        rows.append(self._rows(viewed, "viewed", now, None, None))
        self._seen += viewed
        rows += self._silent_views(slot, now)
        if slot == world.slots_per_week - 1:
            end = (now // WEEK_SECONDS + 1) * WEEK_SECONDS - 1
            stays = self.population.alive
            again = self.population.opted_in & ~opted_in & stays[:, None]
            rows += [
                self._rows(again[:, c], "opted_in", end, name, None)
                for c, name in enumerate(world.channels)
            ]
            rows.append(self._rows(self._alive & ~stays, "churned", end, None, None))
            self._begin_week()
        return [row for row in rows if len(row["time"])]

    def state(self) -> dict[str, NDArray[Any]]:
        """Return what a watch that begins in the middle of a week needs, by name."""
        return {"seen": self._seen.copy(), "alive": self._alive.copy()}

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Continue from :meth:`state`.

        Raises:
            ValueError: an array is missing, or of another shape or type.
        """
        for name, own in self.state().items():
            found = arrays.get(name)
            if found is None or found.shape != own.shape or found.dtype != own.dtype:
                raise ValueError(f"{name} is missing, or not {own.dtype} of shape {own.shape}")
        self._seen, self._alive = arrays["seen"].copy(), arrays["alive"].copy()

    def _begin_week(self) -> None:
        self._seen = np.zeros(self.population.num_members, np.int64)  # [N] views of the week
        self._alive = self.population.alive

    def _silent_views(self, slot: int, now: int) -> list[Columns]:
        """Return views on days without slots that ended with a slot, each at its day's end.

        Where several such days follow one another, the number of views is known and not their
        days: the first ones are named.
        """
        schedule = self.population.world.schedule
        day, last = schedule[slot].weekday, slot == len(schedule) - 1
        following = 7 if last else schedule[slot + 1].weekday
        silent = list(range(day + 1, following))
        if slot == 0:
            silent = [*range(day), *silent]
        if not silent:
            return []
        counted = self.population.simulation.log.by_member[:, LAST if last else THIS]
        today = 0 if last or following > day else self._seen  # a day that goes on is not counted
        missed = np.where(self._alive, counted, 0).astype(np.int64) - self._seen + today
        monday = now // WEEK_SECONDS * WEEK_SECONDS
        rows = []
        for number, weekday in enumerate(silent):
            time = monday + (weekday + 1) * DAY_SECONDS - 1
            rows.append(self._rows(missed > number, "viewed", time, None, None))
        self._seen += np.minimum(missed, len(silent)).clip(0)
        return rows

    def _rows(
        self, happened: Bool, event: str, time: int, channel: str | None, decided_at: int | None
    ) -> Columns:
        """Return one row for each member to whom an event happened."""
        members = self.population.members[happened]
        size = len(members)
        times: dict[str, Any] = {"time": np.full(size, time, np.int64), "member": members}
        if decided_at is not None:
            times["decided_at"] = np.full(size, decided_at, np.int64)
        if channel is not None:
            times["channel"] = [channel] * size
        return times | {"event": [event] * size}
