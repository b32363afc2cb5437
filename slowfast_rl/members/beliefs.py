"""Beliefs about what is hidden, from logged counts alone: a grid posterior for each member.

Once a week, a member's sends, opens, dismissals and viewing days weigh what its fatigue
sensitivity, responsiveness, dismissal propensity and base rate may be. Habit and fatigue follow
from the log by the world's own equations. The filter assumes a world's parameters: another world's
than the members' own is a way to see how much that matters.
"""

from functools import cached_property
from typing import Any

import numpy as np

from slowfast_rl.members.arrays import Float32, Float64, Int64, UInt8
from slowfast_rl.members.belief_observation import read_out
from slowfast_rl.members.belief_update import Grid, Tables, update
from slowfast_rl.members.constants import (
    base_rate,
    constants,
    mean_launch_intensity,
    mean_pick,
    standard_normal,
)
from slowfast_rl.members.features import Feature, bounds, weekly_features
from slowfast_rl.members.state import (
    DISMISSALS,
    LAST,
    OPENS,
    SENDS,
    Log,
    empty_log,
    put_rows,
    take_rows,
)
from slowfast_rl.members.world import World

_SENSITIVITIES, _SENSITIVITY_SPAN = 16, 2.8  # points, standard deviations either side
_TRAITS, _TRAIT_SPAN = 11, 2.75
_LEAST_VARIANCE = 1e-4  # of b, where all members have the same
_LEAST_SENSITIVITY = 1e-4  # whoever never tires has a logarithm too


class BeliefFilter:
    """Makes and updates beliefs under a world's parameters.

    Args:
        world: whose parameters to assume.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.constants = constants(world)
        law, j = world.traits, _SENSITIVITIES
        z = np.linspace(-_SENSITIVITY_SPAN, _SENSITIVITY_SPAN, j)
        prior = np.exp(-(z**2) / 2)
        kappa = _lognormal(law.fatigue_sensitivity_spread, z)
        if law.fatigue_sensitivity_values:
            kappa = np.maximum(law.fatigue_sensitivity_values, _LEAST_SENSITIVITY)
            prior = np.array(law.fatigue_sensitivity_shares)
        trait = np.linspace(-_TRAIT_SPAN, _TRAIT_SPAN, _TRAITS)
        levels = np.array(law.responsiveness)[:, None]
        launches = world.organic.launch_weight * mean_launch_intensity(world)
        self.grid = Grid(
            sensitivity=kappa.astype(np.float32),
            score=_standardised(np.log(kappa), prior).astype(np.float32),
            responsiveness=(levels * _lognormal(law.responsiveness_spread, trait)).astype(
                np.float32
            ),
            propensity=_lognormal(law.dismissal_spread, trait).astype(np.float32),
            trait_score=trait.astype(np.float32),
            pick=np.float32(mean_pick(world)),
            topics=np.float32(world.num_topics),
            habit_kept=np.float32((1 - 1 / world.organic.habit_days) ** 7),
            slots_in_day=np.float32(world.slots_per_week / 7),
            launches=np.float32(launches),
        )
        normal, weight = standard_normal()
        x = np.clip(base_rate(law, normal), 1e-6, 1 - 1e-6)
        logit = np.log(x / (1 - x)) - world.organic.habit_weight * x - launches
        self._base = float(weight @ logit)
        self._base_variance = max(float(weight @ (logit - self._base) ** 2), _LEAST_VARIANCE)
        self._habit = float(weight @ x)
        self._prior = (prior / prior.max()).astype(np.float32)
        self._trait_prior = np.exp(-(trait**2) / 2).astype(np.float32)

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """The signals that beliefs give, F_belief features; the one table of them."""
        size, span = len(self.grid.sensitivity), _SENSITIVITY_SPAN
        features = [Feature(f"sensitivity_weight_{j}", "probability", 0, 1) for j in range(size)]
        features += [
            Feature("sensitivity_score", "standard deviations", -5, 5),
            Feature("sensitivity_score_sd", "standard deviations", 0, span),
            Feature("base_logit", "logits", -20, 20),
            Feature("base_logit_sd", "logits", 0, 20),
            Feature("base_rate_alone", "views per day", 0, 1),
            Feature("sensitivity", "relative to the mean", 0, 100),
            Feature("log_sensitivity", "natural log", -10, 10),
            Feature("goodwill", "share", 0, 1),
            Feature("habit", "views per day", 0, 1),
            Feature("dismissal_score", "standard deviations", -_TRAIT_SPAN, _TRAIT_SPAN),
            Feature("dismissal_score_sd", "standard deviations", 0, _TRAIT_SPAN),
        ]
        for channel in self.world.channels:
            features += [
                Feature(f"{channel}_response_score", "sd", -_TRAIT_SPAN, _TRAIT_SPAN),
                Feature(f"{channel}_response_score_sd", "sd", 0, _TRAIT_SPAN),
                Feature(f"{channel}_fatigue", "effective sends", 0, 100),
                Feature(f"{channel}_felt_fatigue", "effective sends", 0, 1000),
                Feature(f"{channel}_fatigue_times_log_sensitivity", "effective sends", -100, 100),
                Feature(f"{channel}_response_kept", "share", 0, 1),
            ]
        return tuple(Feature(f"belief_{f.name}", f.unit, f.low, f.high) for f in features)

    def begin(self, num_members: int) -> Tables:
        """Return what is believed of members of whom nothing is known."""
        n, num_channels = num_members, len(self.world.channels)
        j = len(self.grid.sensitivity)
        table = np.repeat(self._trait_prior[:, None], j, axis=1)  # [A, J]
        return Tables(
            sensitivity=np.tile(self._prior, (n, 1)),
            response=np.tile(table, (n, num_channels, 1, 1)),
            dismissal=np.tile(table, (n, 1, 1)),
            base=np.full((n, j), self._base, np.float32),
            base_variance=np.full((n, j), self._base_variance, np.float32),
            goodwill=np.ones((n, j), np.float32),
            habit=np.full(n, self._habit, np.float32),
            fatigue=np.zeros((n, num_channels), np.float32),
        )


class Beliefs:
    """What a company believes of N members; a population with a filter keeps them up to date.

    Args:
        belief_filter: makes and updates them.
        num_members: N.
    """

    def __init__(self, belief_filter: BeliefFilter, num_members: int) -> None:
        self.filter = belief_filter
        self.tables = belief_filter.begin(num_members)

    def update(self, log: Log, alive: UInt8) -> None:
        """Take in the last completed week; beliefs about the churned stay as they are."""
        room = np.empty((3, len(self.filter.grid.sensitivity)), np.float32)
        update(self.tables, self.filter.grid, self.filter.constants, log, alive, room)

    def update_from_observations(self, observations: Float32) -> None:
        """Take in the last completed week as the week's signals [N, F_week] tell of it."""
        world = self.filter.world
        column = {feature.name: i for i, feature in enumerate(weekly_features(world))}
        counts = empty_log(len(observations), len(world.channels), 0)
        counts.by_member[:, LAST] = observations[:, column["viewing_days_last_week"]]
        events = (("sends", SENDS), ("opens", OPENS), ("dismissals", DISMISSALS))
        for c, channel in enumerate(world.channels):
            for event, first in events:
                logged = observations[:, column[f"{channel}_{event}_last_week"]]
                counts.by_channel[:, c, first + LAST] = logged
        self.update(counts, np.ones(len(observations), np.uint8))

    def observations(self) -> Float32:
        """Return :attr:`BeliefFilter.features` of every member, [N, F_belief]."""
        tables, grid = self.tables, self.filter.grid
        out = np.empty((len(tables.habit), len(self.filter.features)), np.float32)
        size, num_channels = len(grid.sensitivity), tables.fatigue.shape[1]
        room = np.empty((num_channels + 1, 3, size), np.float32)
        read_out(tables, grid, self.filter.constants, room, np.empty(size), out)
        low, high = bounds(self.filter.features)
        return np.clip(out, low, high, out=out)

    def take(self, rows: Any) -> "Beliefs":
        """Return a copy of some rows, repeats allowed."""
        rows = np.arange(len(self.tables.habit))[rows]  # of a slice, numpy would return no copy
        other = object.__new__(Beliefs)
        other.filter, other.tables = self.filter, take_rows(self.tables, rows)
        return other

    def forget(self, rows: Int64) -> None:
        """Begin anew in some rows."""
        put_rows(self.tables, rows, self.filter.begin(len(rows)))


def _lognormal(spread: float, z: Float64) -> Float64:
    """Return a lognormal with mean 1 at standard normal z."""
    return np.asarray(np.exp(spread * z - spread**2 / 2), np.float64)


def _standardised(values: Float64, weights: Float64) -> Float64:
    share = weights / weights.sum()
    centred = values - share @ values
    spread = float(share @ centred**2) ** 0.5
    return np.asarray(centred / spread if spread > 0 else centred, np.float64)
