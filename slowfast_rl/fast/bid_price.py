"""A pacer that sends a candidate if its score is above the value of keeping the send for later."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numba import types

from slowfast_rl.fast.proposals import propose
from slowfast_rl.logs.sampling import MAX_ROWS, RowSample
from slowfast_rl.members.arrays import Float32, Float64, Int32, Int64, UInt8
from slowfast_rl.members.block_policy import vectorised
from slowfast_rl.members.clock import WEEK_SECONDS
from slowfast_rl.members.compile import driver
from slowfast_rl.members.numerics import HALF, ONE
from slowfast_rl.members.opportunity import (
    PACER_SIGNATURE,
    PLAN_ROWS,
    RANKER_SIGNATURE,
    SIMULATION,
    TOPICS,
    WEIGHTS,
    Opportunity,
    PacerFunction,
    considered,
    draw_candidates,
    opportunity_at,
)
from slowfast_rl.members.population import Population
from slowfast_rl.members.random import Domain, ExplorationStream, random_words
from slowfast_rl.members.state import SimulationState
from slowfast_rl.members.world import World
from slowfast_rl.policies.budget import Schedule, schedule_of_logs
from slowfast_rl.policies.columns import opted_in_columns
from slowfast_rl.policies.contracts import BasePacer, BasePlanner, BaseRanker
from slowfast_rl.policies.day_weights import pacing_parameters, weighed_slots
from slowfast_rl.policies.executor import exact_pace, exact_pacing
from slowfast_rl.policies.guard import pack_plans, target_of
from slowfast_rl.policies.plan_exchange import plans_of_planner
from slowfast_rl.policies.registry import register
from slowfast_rl.policies.settings import Settings, is_number, setting

if TYPE_CHECKING:
    from slowfast_rl.logs.reading import EventLog

_QUANTILES = 200  # number of quantiles of a channel's scores


def bid_prices(scores: Float64, slots: int) -> Float64:
    """Return the least score worth a send, [slots + 1, slots + 1], by (slots left, sends left).

    With n slots and b sends left, all of which must be made, the expected total score is V(n, b) =
    E max(X + V(n - 1, b - 1), V(n - 1, b)), where the best candidate's score X is independent from
    slot to slot and has a known distribution. A send is made if the score is at least
    V(n - 1, b) - V(n - 1, b - 1), the bid price of a unit of capacity (Talluri & van Ryzin, "The
    Theory and Practice of Revenue Management", 2004, chapter 2). The price is minus infinity if
    every slot left is needed, and infinity if no send is left.

    Args:
        scores: [Q] equally likely scores.
        slots: the largest number of slots left.
    """
    value = np.zeros((slots + 1, slots + 1))
    price = np.full((slots + 1, slots + 1), -np.inf)
    price[:, 0] = np.inf
    for n in range(1, slots + 1):
        for b in range(1, n):
            price[n, b] = value[n - 1, b] - value[n - 1, b - 1]
            value[n, b] = value[n - 1, b - 1] + np.maximum(scores, price[n, b]).mean()
        value[n, n] = value[n - 1, n - 1] + scores.mean()
    return price


@vectorised
@driver(PACER_SIGNATURE)
def bid_price_pace(
    opportunity: Opportunity, plan_rows: Int32, pacing: Float32
) -> tuple[float, np.float32, np.float32]:
    """Return the bid price as the least score worth a send.

    ``pacing`` is S, the largest number of slots M, prices [C, M + 1, M + 1], and the numbers of
    day weights. These weights change the number of slots left that a slot is counted with, so that
    the price is lower on days of higher weight.
    """
    remaining = target_of(plan_rows, opportunity.row, opportunity.channel) - opportunity.sent
    most = int(pacing[1])
    size = (most + 1) * (most + 1)
    first = 2 + size * (plan_rows.shape[1] // 2)
    weighed = weighed_slots(opportunity, pacing, first, opportunity.slots_left)
    # Read even where it is not needed, so that loops over members have no branch.
    sends = min(max(remaining, 0), most)
    left = min(max(int(weighed + HALF), sends), most)
    price = float(pacing[np.uint64(2 + size * opportunity.channel + (most + 1) * left + sends)])
    if remaining <= 0 or opportunity.opted_in == 0:
        return np.inf, np.float32(0), ONE
    return -np.inf if remaining >= opportunity.slots_left else price, ONE, ONE


@dataclass(frozen=True, kw_only=True)
class BidPriceSettings(Settings):
    """Settings of :class:`BidPricePacer`."""

    num_members: int = setting(512, "number of simulated members", low=1, high=2**24)
    weeks: int = setting(24, "number of simulated weeks", low=1, high=2**16)
    burn_in: int = setting(
        8, "number of first weeks whose scores are left out", low=0, high=2**16 - 1
    )

    def __post_init__(self) -> None:
        """Check every field, and that a week is left after the burn-in."""
        super().__post_init__()
        if self.burn_in >= self.weeks:
            raise ValueError(
                f"burn_in is {self.burn_in}; allowed is 0 to {self.weeks - 1}, below weeks"
            )


@register
class BidPricePacer(BasePacer):
    """Meets the weekly target exactly and sends the candidates with the highest scores.

    It learns the distribution of the ranker's best score on each channel. Before training it paces
    exactly, whatever the scores are.
    """

    name = "bid_price"
    thread_safe = True
    Settings = BidPriceSettings
    settings: BidPriceSettings

    def __init__(self, settings: BidPriceSettings | None = None, **values: Any) -> None:
        super().__init__(settings, **values)
        self.quantiles: tuple[tuple[float, ...], ...] = ()  # [C][Q], empty before training
        self._prices: tuple[World, Float32, Float32] | None = (
            None  # of the world that was used last
        )

    @classmethod
    def with_quantiles(
        cls, quantiles: Sequence[Sequence[float]], settings: BidPriceSettings | None = None
    ) -> Self:
        """Return a pacer with given distributions of the best scores.

        Args:
            quantiles: for each of C channels, equally likely scores of its best candidate,
                ascending.
            settings: settings of the pacer; None for the defaults.

        Raises:
            ValueError: quantiles are not finite numbers in ascending order.
        """
        for law in quantiles:
            finite = all(map(is_number, law))
            if not law or not finite or list(law) != sorted(law):
                raise ValueError(
                    f"pacer quantiles are {str(list(law))[:60]}; allowed are finite numbers in "
                    "ascending order"
                )
        pacer = cls(settings=settings)
        pacer.quantiles = tuple(tuple(map(float, law)) for law in quantiles)
        return pacer

    @property
    def function(self) -> PacerFunction:
        """The jitted pacer."""
        return bid_price_pace if self.quantiles else exact_pace

    def pacing(self, world: World, weights: Float32 | None = None) -> Float32:
        """Return the jitted pacer's parameters; see :meth:`BasePacer.pacing`.

        Raises:
            ValueError: the pacer learned in a world with other channels.
        """
        if not self.quantiles:
            return exact_pacing(world, weights)
        if len(self.quantiles) != len(world.channels):
            raise ValueError(
                f"pacer knows the scores of {len(self.quantiles)} channels;"
                f" {len(world.channels)} are needed for {world.channels}"
            )
        if self._prices is None or self._prices[0] is not world:
            most = int(np.bincount([slot.channel for slot in world.schedule]).max())
            prices = np.stack([bid_prices(np.array(law), most) for law in self.quantiles])
            own = np.concatenate([[most], prices.ravel()]).astype(np.float32)
            self._prices = world, own, pacing_parameters(world, own, None)
        _, own, uniform = self._prices
        return uniform if weights is None else pacing_parameters(world, own, weights)

    def schedule(self, world: World, total_opportunities: None = None) -> Schedule:
        """Return what its logs come to."""
        return schedule_of_logs(world, self.settings.num_members, self.settings.weeks)

    def learn(
        self,
        world: World,
        ranker: BaseRanker,
        *,
        seed: int = 0,
        planner: BasePlanner | None = None,
    ) -> Self:
        """Learn the distribution of the ranker's best scores; see :meth:`BasePacer.learn`."""
        s = self.settings
        self._fit(best_scores(world, ranker, s.num_members, s.weeks, s.burn_in, seed, planner))
        self.opportunities = s.num_members * s.weeks * world.slots_per_week
        return self

    def learn_from_log(
        self, log: "EventLog", ranker: BaseRanker, *, seed: int = 0, max_rows: int = MAX_ROWS
    ) -> Self:
        """Learn the distribution of the ranker's best scores at the log's opportunities.

        The first ``burn_in`` weeks of the log are left out if it has more.

        Args:
            log: the log, with what the candidates were and with decisions to hold.
            ranker: the trained ranker.
            seed: decides which opportunities are used, where there are more than ``max_rows``.
            max_rows: number of opportunities that are used at most.

        Raises:
            ValueError: the log lacks the candidates, or decisions to hold: the scores of sends
                alone are higher than those of all opportunities.
        """
        self._fit(logged_scores(log, ranker, self.settings.burn_in, seed, max_rows))
        self.opportunities = 0
        return self

    def _fit(self, laws: Sequence[Float64]) -> None:
        """Take the quantiles of each channel's scores [B]."""
        middles = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
        self.quantiles = tuple(
            tuple(np.quantile(law, middles).tolist()) if law.size else (0.0,) for law in laws
        )
        self._prices = None

    def state(self) -> dict[str, Any]:
        """Return the quantiles as lists."""
        return {"quantiles": [list(law) for law in self.quantiles]}

    @classmethod
    def from_state(
        cls, world: World, settings: Any, state: Mapping[str, Any], **parts: Any
    ) -> Self:
        """Rebuild a pacer from :meth:`state`.

        Raises:
            ValueError: quantiles are missing or not allowed, or the state has other entries.
        """
        laws = state.get("quantiles")
        lists = list(state) == ["quantiles"] and isinstance(laws, list)
        if not lists or not all(isinstance(law, list) for law in laws or ()):
            raise ValueError(f"pacer has {sorted(state)}; allowed: quantiles, a list per channel")
        return cls.with_quantiles(laws or (), settings)


@driver(
    types.void(
        SIMULATION,
        types.int64,
        types.FunctionType(PACER_SIGNATURE),
        types.FunctionType(RANKER_SIGNATURE),
        PLAN_ROWS,
        WEIGHTS,
        WEIGHTS,
        TOPICS,
        WEIGHTS,
        types.Array(types.int64, 1, "C"),
        types.Array(types.float64, 1, "C"),
    )
)
def choose_and_score(
    simulation: SimulationState,
    s: int,
    pace: Any,
    rank: Any,
    plan_rows: Int32,
    pacing: Float32,
    ranking: Float32,
    topics: UInt8,
    qualities: Float32,
    actions: Int64,
    scores: Float64,
) -> None:
    """Fill the actions [N] of a jitted policy at slot s, and the scores [N] of its candidates."""
    for i in range(actions.shape[0]):
        opportunity = opportunity_at(simulation, i, s)
        draw_candidates(opportunity, topics, qualities)
        today = simulation.launches[opportunity.day]
        best, scores[i] = rank(opportunity, topics, qualities, simulation.log, today, ranking)
        least, wanted, of = pace(opportunity, plan_rows, pacing)
        sends = wanted > 0 and considered(opportunity, wanted, of) and scores[i] >= least
        actions[i] = best if sends else 0


def best_scores(
    world: World,
    ranker: BaseRanker,
    num_members: int,
    weeks: int,
    burn_in: int,
    seed: int,
    planner: BasePlanner | None = None,
) -> list[Float64]:
    """Return the best scores at all opportunities of opted-in members, for each channel.

    Plans are paced exactly.

    Args:
        world: the world.
        ranker: the ranker.
        num_members: number of members, of population ``seed``.
        weeks: number of simulated weeks.
        burn_in: number of first weeks whose scores are left out.
        seed: seed of population, luck and plans.
        planner: planner of the members' weeks; None for random plans.
    """
    ranker.check_world(world)
    belief_filter = None if planner is None else planner.belief_filter
    population = Population(world, num_members, seed, seed, belief_filter=belief_filter)
    plans, pacing, ranking = world.plans, exact_pacing(world), ranker.weights
    actions, scores = np.zeros(num_members, np.int64), np.zeros(num_members)
    k = world.num_candidates
    candidates = np.empty(k, np.uint8), np.empty(k, np.float32)
    found: list[list[Float64]] = [[] for _ in world.channels]
    for week in range(weeks):
        if planner is None:
            times = np.full(num_members, week)
            words = random_words(
                seed, ExplorationStream.RANDOM_SENDS, population.members, times, Domain.EXPLORATION
            )
            chosen = (words % len(plans)).astype(np.int64)
        else:
            chosen = plans_of_planner(population, planner)
        target = plans[chosen]
        plan_rows = pack_plans(target, target)
        for slot in world.schedule:
            population.keep_calendar()
            choose_and_score(
                population.simulation, population.slot, exact_pace, ranker.function,
                plan_rows, pacing, ranking, *candidates, actions, scores,
            )  # fmt: skip
            if week >= burn_in:
                counted = population.alive & population.opted_in[:, slot.channel]
                found[slot.channel].append(scores[counted])
            population.step(actions)
    return [np.concatenate([np.zeros(0), *parts]) for parts in found]


class _Scores(NamedTuple):
    """B opportunities of a log."""

    channels: Int64  # [B]
    scores: Float32  # [B] of the best candidate


def logged_scores(
    log: "EventLog", ranker: BaseRanker, burn_in: int, seed: int = 0, max_rows: int = MAX_ROWS
) -> list[Float64]:
    """Return the best scores at the logged opportunities of opted-in members, for each channel.

    Args:
        log: the log.
        ranker: the ranker.
        burn_in: number of first weeks that are left out, if the log has more.
        seed: decides which opportunities are kept.
        max_rows: number of opportunities that are kept at most.

    Raises:
        ValueError: the log lacks decisions to hold, or what the candidates were.
    """
    from slowfast_rl.logs.histories import MemberHistories

    world, kept = log.world, RowSample[_Scores](max_rows, seed)
    first = burn_in * WEEK_SECONDS if burn_in < log.weeks else 0
    held = False
    for part in log.parts():
        given = part.decisions.columns
        for found in MemberHistories(log, part).opportunities():
            times = given["time"][found.rows]
            channels = given["channel"][found.rows].astype(np.int64)
            flags = found.observations[np.arange(len(times)), opted_in_columns(world)[channels]]
            some = (flags > 0.5) & (times >= first)
            if not some.any():
                continue
            at = found.rows[some]
            held = held or bool((given["action"][at] == 0).any())
            scores = propose(world, None, ranker, found.observations[some]).scores.max(axis=1)
            kept.add(given["member"][at], times[some], _Scores(channels[some], scores))
    rows = kept.rows()
    if rows is None or not held:
        raise ValueError(
            f"{log.folder} has no decisions to hold; bid prices need the scores of all "
            "opportunities"
        )
    return [rows.scores[rows.channels == c].astype(np.float64) for c in range(len(world.channels))]
