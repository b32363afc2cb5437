"""Build from a log the features that the environments show: the company's log, week by week.

The same kernels that log a simulated send and end a simulated week do it here, so that the
observations of a recorded simulation are those of the simulation itself.
"""

from typing import NamedTuple, Self

import numpy as np
from numba import types

from slowfast_rl.members.arrays import Bool, Float32, Int32, Int64, UInt8
from slowfast_rl.members.beliefs import BeliefFilter, Beliefs
from slowfast_rl.members.compile import driver
from slowfast_rl.members.features import bounds, opportunity_features, weekly_features
from slowfast_rl.members.launches import intensity_of
from slowfast_rl.members.observations import opportunity_observation, weekly_observation
from slowfast_rl.members.opportunity import LOG
from slowfast_rl.members.population import Population
from slowfast_rl.members.state import THIS, Log, take_rows
from slowfast_rl.members.stepping import Outcome, log_send, roll_log, skip_log
from slowfast_rl.members.world import World
from slowfast_rl.policies.columns import columns
from slowfast_rl.policies.contracts import BasePlanner, PlanRequest
from slowfast_rl.policies.guard import feasible_plans

_INT64S = types.Array(types.int64, 1, "C")
_FLAGS = types.Array(types.uint8, 1, "C")


class Sends(NamedTuple):
    """B sends with what was seen of their outcomes, in order of time."""

    rows: Int64  # [B] of the members
    channels: Int64  # [B]
    topics: Int64  # [B] 0 to D - 1
    days: Int64  # [B] since the log began
    opened: UInt8  # [B]
    dismissed: UInt8  # [B]
    opted_out: UInt8  # [B]

    def take(self, rows: slice | Int64 | Bool) -> "Sends":
        """Return some of the sends."""
        return take_rows(self, rows)


class Replay:
    """The company's log about N members while events are replayed, all in the same week.

    Args:
        world: the world, for its company side: channels, topics, schedule and menu.
        members: [N] ids.
        opted_in: [N, C] whether each member is opted in when the log begins.
        launches: [days, D] launches of each day and topic, for all weeks that will be replayed.
        belief_filter: updates :attr:`beliefs` every week; None for no beliefs.
        alive: [N] whether each member is there when the log begins; None for all. Members may come
            later: nothing is logged, and nothing believed, of the weeks before.
    """

    def __init__(
        self,
        world: World,
        members: Int64,
        opted_in: Bool,
        launches: Float32,
        belief_filter: BeliefFilter | None = None,
        alive: Bool | None = None,
    ) -> None:
        self.world, self.members, self.week = world, members, 0
        # A population only lends its arrays and observations: no slot of it is ever simulated.
        self._population = Population(world, len(members), belief_filter=belief_filter)
        spare = np.zeros((7, world.num_topics), np.float32)  # a week may begin that has no launches
        calendar = intensity_of(world, np.concatenate([launches, spare]))
        self._population.simulation = self._population.simulation._replace(launches=calendar)
        self.opted_in = opted_in
        if alive is not None:
            self._population.simulation.state.alive[:] = alive

    @property
    def log(self) -> Log:
        """What the company has logged about the members so far."""
        return self._population.simulation.log

    @property
    def beliefs(self) -> Beliefs | None:
        """The beliefs about the members, if there is a belief filter."""
        return self._population.beliefs

    @property
    def opted_in(self) -> Bool:
        """[N, C] whether the member is opted in to the channel."""
        return self._population.opted_in

    @opted_in.setter
    def opted_in(self, flags: Bool) -> None:
        self._population.simulation.state.opted_in[:] = flags

    @property
    def alive(self) -> Bool:
        """[N] whether the member is there on this Monday: it has come, and has not churned."""
        return self._population.alive

    def weekly_observations(self) -> Float32:
        """Return the weekly observation of each member, [N, F_week]; on Mondays."""
        return weekly_observation(self._population)

    def opportunity_observations(
        self, slot: int, targets: Int32, rows: Int64, topics: Int64, qualities: Float32,
        launched: Bool,
    ) -> Float32:  # fmt: skip
        """Return the observations of B members at a slot, [B, F].

        Args:
            slot: of the week.
            targets: [N, C] of the plans in force.
            rows: [B] of the members.
            topics: [B, K] of the candidates.
            qualities: [B, K] of the candidates.
            launched: [B, K] launch flags of the candidates.
        """
        population, world = self._population, self.world
        population.slots[:] = slot
        found: Float32 = opportunity_observation(population, targets)[rows]
        population.slots[:] = 0
        limits = bounds(weekly_features(world) + opportunity_features(world))
        for j in range(world.num_candidates):
            first = columns(world)[f"candidate_{j + 1}_quality"]
            found[:, first] = np.clip(qualities[:, j], limits[0, first], limits[1, first])
            found[:, first + 1] = launched[:, j]
            found[:, first + 2 : first + 2 + world.num_topics] = topics[:, j, None] == np.arange(
                world.num_topics
            )
        return found

    def set_viewing_days(self, days: Float32) -> None:
        """Set the viewing days of this week before today, [N]."""
        self._population.simulation.log.by_member[:, THIS] = days

    def log_sends(self, sends: Sends) -> None:
        """Log sends of this week, in order of time; an opt-out takes effect at once."""
        _log_sends(self.log, *sends)
        left = sends.opted_out > 0
        state = self._population.simulation.state
        state.opted_in[sends.rows[left], sends.channels[left]] = 0

    def end_week(self, viewing_days: Float32, opted_in: Bool, alive: Bool) -> Self:
        """End the week, and begin the next one.

        Args:
            viewing_days: [N] days of this week on which the member viewed.
            opted_in: [N, C] on the next Monday.
            alive: [N] on the next Monday.
        """
        simulation, before = self._population.simulation, self.alive
        self.set_viewing_days(viewing_days)
        _end_week(simulation.log, simulation.state.alive)
        simulation.state.week[:] += 1
        simulation.state.alive[:] = alive
        self.opted_in, self.week = opted_in, self.week + 1
        if self.beliefs is not None:
            self.beliefs.update(simulation.log, (before & alive).astype(np.uint8))
        return self

    def plan_request(self, planner: BasePlanner | None = None) -> PlanRequest:
        """Return the request for plans of all members on this Monday.

        Args:
            planner: the planner that gets the request; None for one without beliefs.

        Raises:
            ValueError: the planner is privileged, or needs beliefs that are not kept.
        """
        if planner is not None and planner.privileged:
            raise ValueError(f"planner {planner.name} is privileged; no log holds what it observes")
        needed = planner is not None and planner.belief_filter is not None
        if needed and self.beliefs is None:
            raise ValueError(
                "the planner needs beliefs; this replay keeps none: make it with "
                "belief_filter=planner.belief_filter"
            )
        return PlanRequest(
            observations=self.weekly_observations(),
            feasible=feasible_plans(self.world.plans, self.opted_in),
            entity_ids=self.members,
            weeks=np.full(len(self.members), self.week),
            beliefs=self.beliefs.observations() if needed and self.beliefs is not None else None,
        )


@driver(types.void(LOG, _INT64S, _INT64S, _INT64S, _INT64S, _FLAGS, _FLAGS, _FLAGS))
def _log_sends(
    log: Log,
    rows: Int64,
    channels: Int64,
    topics: Int64,
    days: Int64,
    opened: UInt8,
    dismissed: UInt8,
    opted_out: UInt8,
) -> None:
    zero = np.float32(0)
    for b in range(rows.shape[0]):
        outcome = Outcome(
            zero, opened[b] > 0, opened[b] > 0, dismissed[b] > 0, opted_out[b] > 0, zero, zero
        )
        log_send(log, rows[b], channels[b], topics[b], np.float32(days[b]), outcome)


@driver(types.void(LOG, _FLAGS))
def _end_week(log: Log, alive: UInt8) -> None:
    for i in range(alive.shape[0]):
        if alive[i]:
            roll_log(log, i)
        else:
            skip_log(log, i)
