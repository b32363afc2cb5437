"""Bayesian beliefs about members' hidden traits, from logged counts alone.

Once a week, a member's sends, opens, dismissals and viewing days update a posterior on a grid over
its fatigue sensitivity, responsiveness, dismissal propensity and base rate. Habit and fatigue
follow from the log by the world's equations. The filter assumes the parameters of a world; giving
it those of another world than the members' own shows how much a wrong assumption costs.
"""

from functools import cached_property
from typing import Any

import numpy as np

from slowfast_rl.members.arrays import Float32, Float64, Int64, UInt8
from slowfast_rl.members.belief_observation import fill_belief_features
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
from slowfast_rl.members.threads import for_row_shards
from slowfast_rl.members.world import World

_SENSITIVITIES, _SENSITIVITY_SPAN = 16, 2.8  # grid points, and standard deviations on either side
_TRAITS, _TRAIT_SPAN = 11, 2.75
_MIN_BASE_VARIANCE = 1e-4  # of b: avoids a variance of 0 where all members share one b
_MIN_SENSITIVITY = 1e-4  # avoids log(0) where fatigue sensitivity is 0


class BeliefFilter:
    """Create and update beliefs under the parameters of a world.

    Args:
        world: the world whose parameters the filter assumes.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.constants = constants(world)
        law, j = world.traits, _SENSITIVITIES
        z = np.linspace(-_SENSITIVITY_SPAN, _SENSITIVITY_SPAN, j)
        prior = np.exp(-(z**2) / 2)
        kappa = _lognormal(law.fatigue_sensitivity_spread, z)
        if law.fatigue_sensitivity_values:
            kappa = np.maximum(law.fatigue_sensitivity_values, _MIN_SENSITIVITY)
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
        self._base_variance = max(float(weight @ (logit - self._base) ** 2), _MIN_BASE_VARIANCE)
        self._habit = float(weight @ x)
        self._prior = (prior / prior.max()).astype(np.float32)
        self._trait_prior = np.exp(-(trait**2) / 2).astype(np.float32)

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """The F_belief features that describe beliefs: names, units and bounds."""
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
        """Return the prior beliefs about ``num_members`` members without any log."""
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
    """The beliefs about N members; a population with a filter updates them every week.

    Args:
        belief_filter: creates and updates the beliefs.
        num_members: N.
    """

    def __init__(self, belief_filter: BeliefFilter, num_members: int) -> None:
        self.filter = belief_filter
        self.tables = belief_filter.begin(num_members)

    def update(self, log: Log, alive: UInt8) -> None:
        """Update with the last completed week; beliefs about churned members stay as they are.

        Args:
            log: the N members' logs.
            alive: [N] 0 for churned members.
        """
        given = self.tables, self.filter.grid, self.filter.constants, log, alive
        for_row_shards(lambda start, stop: update(*given, start, stop), len(alive))

    def update_from_observations(self, observations: Float32) -> None:
        """Update with the last completed week as read from weekly observations [N, F_week]."""
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
        """Return the values of :attr:`BeliefFilter.features`, [N, F_belief], clipped to bounds."""
        tables, grid = self.tables, self.filter.grid
        out = np.empty((len(tables.habit), len(self.filter.features)), np.float32)
        given = tables, grid, self.filter.constants, out
        for_row_shards(lambda start, stop: fill_belief_features(*given, start, stop), len(out))
        low, high = bounds(self.filter.features)
        return np.clip(out, low, high, out=out)

    def take(self, rows: Any) -> "Beliefs":
        """Return a copy of the beliefs in some rows; a row may be repeated."""
        rows = np.arange(len(self.tables.habit))[rows]  # makes a copy also where rows is a slice
        other = object.__new__(Beliefs)
        other.filter, other.tables = self.filter, take_rows(self.tables, rows)
        return other

    def forget(self, rows: Int64) -> None:
        """Reset some rows to the prior."""
        put_rows(self.tables, rows, self.filter.begin(len(rows)))


def _lognormal(spread: float, z: Float64) -> Float64:
    """Return the lognormal variable of mean 1 at standard normal z."""
    return np.asarray(np.exp(spread * z - spread**2 / 2), np.float64)


def _standardised(values: Float64, weights: Float64) -> Float64:
    """Return values shifted to mean 0 and, where their spread is not 0, scaled to variance 1."""
    share = weights / weights.sum()
    centred = values - share @ values
    spread = float(share @ centred**2) ** 0.5
    return np.asarray(centred / spread if spread > 0 else centred, np.float64)
