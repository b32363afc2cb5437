"""The statistics by which a simulated log is compared with an observed one.

Most are the scores of regressions: sums of a regressor times what is left of an outcome, with the
coefficients that fit the observed log. They are 0 for the observed log, and 0 in expectation for a
simulated one only if the same regressions fit it ("indirect inference by scores", Gallant and
Tauchen 1996). Others are means and products over members, which tell how members differ.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from slowfast_rl.fitting.features import Features, features
from slowfast_rl.logs.weekly_log import WeeklyLog
from slowfast_rl.members.arrays import Bool, Float32, Float64, Int64
from slowfast_rl.members.workers import row_shards

SHARD = 2048  # members whose statistics are computed at once, which fit the processor's cache
_MOST_FIRST_WEEKS = 4  # whose viewing days say who a member is, before messages change it
_HIGH = (0.01, 0.99)  # quantiles to which members' sums are cut, because of their squares
_QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
_SMALL_VIEWS = 0.5  # viewing days a week of a member that hardly views
_LEAST_SHARE = 0.25  # of the variance that events would have if they were as frequent in all weeks
_RIDGE = 1e-8
_FLOOR = 1e-4  # of the eigenvalues of the correlations
_LEAST_SHRINKAGE, _MOST_SHRINKAGE = 0.01, 0.21

Columns = list[Float32]


class Regression(NamedTuple):
    """A regression of an outcome on regressors times a weight, over all member-weeks.

    Attributes:
        name: of its statistics.
        names: of the regressors.
        regressors: K times [T, n].
        outcome: [T, n].
        weight: [T, n] such as the number of sends of which the outcome counts the opens.
    """

    name: str
    names: list[str]
    regressors: Columns
    outcome: Float32
    weight: Float32

    def residual(self, coefficients: Float64) -> Float32:
        """Return the outcome less what the coefficients [K] say, [T, n]."""
        fitted = np.zeros_like(self.outcome)
        for regressor, coefficient in zip(self.regressors, coefficients, strict=True):
            fitted += np.float32(coefficient) * regressor
        return self.outcome - self.weight * fitted


class Statistics:
    """The statistics of logs, with constants that fit the observed log.

    Args:
        log: the observed log, of N members.
        channels: names of the C channels.
        weights: [T] weight of each week, such as less than 1 for the first ones; None for 1.

    Attributes:
        names: [K] names of the statistics.
        observed: [K] the observed log's.
        covariance: [K, K] of the members' contributions; that of a mean over N members is 1/N of
            it.
        whitening: [K, K] turns differences of statistics into numbers of about unit variance,
            where statistics are multiplied by the square root of N.
    """

    def __init__(
        self, log: WeeklyLog, channels: tuple[str, ...], weights: Float64 | None = None
    ) -> None:
        weeks, self.num_members = log.viewing_days.shape
        self._channels = channels
        self._first = max(1, min(_MOST_FIRST_WEEKS, weeks // 4))
        ones = np.ones(weeks) if weights is None else weights
        self._weights = ones.astype(np.float32)[:, None]  # [T, 1]
        shards = [columns_of(log, rows) for rows in row_shards(self.num_members, SHARD)]
        parts = [features(shard, self._first) for shard in shards]  # of all members, once
        self._coefficients = _fit([_equations(self._all_regressions(part)) for part in parts])
        living = [part.fatigue[1][part.alive > 0] for part in parts]
        self._median_fatigue = float(np.median(np.concatenate(living)))
        self._fit_within(parts)
        sums = np.concatenate([self._differences(part)[0] for part in parts])
        self._bounds = np.quantile(sums, _HIGH, axis=0)
        cut = np.clip(sums, *self._bounds)
        self._centre, self._scale = cut.mean(axis=0), np.maximum(cut.std(axis=0), 1e-6)
        early = np.concatenate([part.early_views for part in parts])
        self._quantiles = np.quantile(early, _QUANTILES)
        names = self._names(parts[0])
        self._kept: Bool = np.ones(len(names), np.bool_)
        contributions = np.concatenate([self.contributions(shard) for shard in shards])
        spread = contributions.std(axis=0)
        self._kept = spread > 1e-7 * max(float(np.abs(contributions).max()), 1e-30)
        self.names = tuple(n for n, kept in zip(names, self._kept, strict=True) if kept)
        contributions = contributions[:, self._kept]
        self.observed: Float64 = contributions.mean(axis=0)
        self.covariance: Float64 = np.cov(contributions.T)
        least = np.zeros(len(names))
        scores = self._least_variances(parts)
        least[: len(scores)] = scores
        variance = np.diag(self.covariance)
        np.fill_diagonal(self.covariance, np.maximum(variance, least[self._kept]))
        self.whitening = _whitening(self.covariance, self.num_members)

    def __len__(self) -> int:
        """Return K, the number of statistics."""
        return len(self.names)

    def contributions(self, log: WeeklyLog) -> Float64:
        """Return each member's contributions to the statistics, which are their means, [n, K]."""
        part = features(log, self._first)
        columns = [
            (regressor * residual).sum(axis=0)
            for regression in self._regressions(part)
            for residual in [self._residual(regression)]
            for regressor in regression.regressors
        ]
        sums, within = self._differences(part)
        cut = (np.clip(sums, *self._bounds) - self._centre) / self._scale  # [n, Z]
        i, j = np.triu_indices(cut.shape[1])
        low = part.early_views[:, None] <= self._quantiles
        found = np.column_stack([*columns, *within, cut, cut[:, i] * cut[:, j], low])
        return np.asarray(found[:, self._kept], np.float64)

    def sums(self, log: WeeklyLog) -> Float64:
        """Return the sums of a log's contributions over members, [K]."""
        return np.asarray(self.contributions(log).sum(axis=0), np.float64)

    def _all_regressions(self, part: Features) -> Iterator[Regression]:
        yield from self._regressions(part)
        yield from _between(part, self._channels)

    def _regressions(self, part: Features) -> Iterator[Regression]:
        for regression in _regressions(part, self._channels, 2 * self._first):
            yield self._weighed(regression)

    def _weighed(self, regression: Regression) -> Regression:
        """Return a regression in which weeks have their weights."""
        return regression._replace(
            outcome=self._weights * regression.outcome, weight=self._weights * regression.weight
        )

    def _residual(self, regression: Regression) -> Float32:
        return regression.residual(self._coefficients[regression.name])

    def _fit_within(self, parts: list[Features]) -> None:
        """Regress viewing on messages within members, by deviations from their own means."""
        pairs = [(_deviations(part), part.views) for part in parts]
        self._within = _fit(
            [_equations(iter([_one("within", x, self._weights * v)])) for x, v in pairs]
        )["within"]

    def _differences(self, part: Features) -> tuple[Float64, Columns]:
        """Return sums by which members differ, [n, Z], and the scores within members, each [n]."""
        high = part.fatigue[1] > self._median_fatigue
        residuals = {
            r.name: self._weights * self._residual(r) for r in _between(part, self._channels)
        }
        columns = []
        for channel in self._channels:
            residual = residuals[f"{channel}: opens between members"]
            columns += [(residual * ~high).sum(axis=0), (residual * high).sum(axis=0)]
        dismissed = sum(residuals[f"{c}: dismissals between members"] for c in self._channels)
        columns += [(dismissed * ~high).sum(axis=0), (dismissed * high).sum(axis=0)]
        deviations = _deviations(part)
        residual = _one("within", deviations, self._weights * part.views).residual(self._within)
        within = [(x * residual).sum(axis=0) for x in deviations]
        columns += [part.early_views, within[3]]
        return np.stack(columns, axis=1).astype(np.float64), within

    def _least_variances(self, parts: list[Features]) -> Float64:
        """Return variances of scores of regressions that are not to be doubted, [scores].

        They are a share of those of events that are as frequent in all weeks as on average. Where
        rare events happen not to have happened in some weeks, as churn in the few weeks of those
        who view little, the observed variance is far too small.
        """
        found = []
        for regressions in zip(*(self._regressions(part) for part in parts), strict=True):
            events = sum(float(r.outcome.sum()) for r in regressions)
            weight = sum(float(r.weight.sum()) for r in regressions)
            for k in range(len(regressions[0].regressors)):
                squares = sum(float((r.regressors[k] ** 2 * r.weight).sum()) for r in regressions)
                found.append(squares * events / max(weight, 1.0))
        return np.asarray(_LEAST_SHARE * np.array(found) / self.num_members, np.float64)

    def _names(self, part: Features) -> list[str]:
        scores = [f"{r.name} × {name}" for r in self._regressions(part) for name in r.names]
        within = [f"viewing within members × {name}" for name in _deviation_names(self._channels)]
        sums = [f"{c}: opens at {f} fatigue" for c in self._channels for f in ("low", "high")]
        sums += ["dismissals at low fatigue", "dismissals at high fatigue"]
        sums += ["first views", "viewing by fatigue"]
        i, j = np.triu_indices(len(sums))
        products = [f"({sums[a]}) × ({sums[b]})" for a, b in zip(i, j, strict=True)]
        quantiles = [f"share of first views below {100 * q:.0f} %" for q in _QUANTILES]
        return [*scores, *within, *sums, *products, *quantiles]


def columns_of(log: WeeklyLog, rows: slice | Int64) -> WeeklyLog:
    """Return the log of some of its members."""
    parts = {
        name: value[rows] if name == "members" else value[:, rows]
        for name, value in log._asdict().items()
        if name != "launches"
    }
    return log._replace(**parts)


def _regressions(f: Features, channels: tuple[str, ...], early: int) -> Iterator[Regression]:
    """Yield the regressions whose scores are statistics."""
    one = np.ones_like(f.views)
    bent = f.fatigue[1] * f.fatigue[1] * np.float32(0.1)
    own = [f"own load {k}" for k in range(1, 4)]
    shared = ["1", "sends", "other channels' sends", *(f"fatigue {k}" for k in range(1, 5))]
    for c, channel in enumerate(channels):
        sends, others = f.sends[c], f.all_sends - f.sends[c]
        base = [one, sends, others, *f.fatigue]
        yield Regression(
            f"{channel}: opens",
            [*shared, "fatigue²", "views", "views × fatigue", "opened", "opened × fatigue",
             "dismissed", "dismissed × fatigue", *own],
            [*base, bent, f.views_4, f.views_4 * f.fatigue[1], f.opened, f.opened * f.fatigue[1],
             f.dismissed, f.dismissed * f.fatigue[1], *f.load[c]],
            f.opens[c],
            sends,
        )  # fmt: skip
        yield Regression(
            f"{channel}: dismissals",
            [*shared, "fatigue²", "views", "dismissed", "dismissed × fatigue",
             "dismissed × fatigue 1", "opened", *own],
            [*base, bent, f.views_4, f.dismissed, f.dismissed * f.fatigue[1],
             f.dismissed * f.fatigue[0], f.opened, *f.load[c]],
            f.dismissals[c],
            f.unopened[c],
        )  # fmt: skip
        yield Regression(
            f"{channel}: opt-outs",
            [*shared[:3], "fatigue 2", "fatigue²", "fatigue 4", "dismissed", "dismissed × fatigue"],
            [*base[:3], f.fatigue[1], bent, f.fatigue[3], f.dismissed, f.dismissed * f.fatigue[1]],
            f.opt_outs[c],
            sends,
        )
        yield Regression(f"{channel}: returns", ["1"], [one], f.returned[c], f.may_return[c])
    yield Regression(
        "viewing",
        ["1", "last week", "views", "views 20", "views²", "sends", "opens",
         *(f"fatigue {k}" for k in range(1, 5)), "views × fatigue", "views × fatigue 4",
         "dismissed", "dismissed × fatigue", "dismissed × fatigue 4", "opened"],
        [one, f.views_last, f.views_4, f.views_20, f.views_4 * f.views_4 * np.float32(0.2),
         f.all_sends, f.all_opens, *f.fatigue, f.views_4 * f.fatigue[1], f.views_4 * f.fatigue[3],
         f.dismissed, f.dismissed * f.fatigue[1], f.dismissed * f.fatigue[3], f.opened],
        f.views,
        f.alive,
    )  # fmt: skip
    first = np.broadcast_to(f.first_views, f.views.shape)
    later = f.alive.copy()
    later[:early] = 0
    middle, slow = [load[1] for load in f.load], [load[2] for load in f.load]
    yield Regression(
        "later viewing",
        ["1", "first views", "first views²", *(f"{c}: load 3" for c in channels),
         *(f"{c}: load 2" for c in channels), "fatigue 1",
         *(f"first views × {c}: load 3" for c in channels), "dismissed",
         *(f"dismissed × {c}: load 3" for c in channels), "sends"],
        [one, first, first * first * np.float32(0.2), *slow, *middle,
         f.fatigue[0], *(first * load for load in slow), f.dismissed,
         *(f.dismissed * load for load in slow), f.all_sends],
        f.views * (later > 0),
        later,
    )  # fmt: skip
    yield Regression(
        "churn",
        ["1", "last week", "views", "views 20", "few views", "e^-views 20"],
        [one, f.views_last, f.views_4, f.views_20, (f.views_4 < _SMALL_VIEWS).astype(np.float32),
         np.exp(-f.views_20)],
        f.churned,
        f.alive,
    )  # fmt: skip


def _between(f: Features, channels: tuple[str, ...]) -> Iterator[Regression]:
    """Yield regressions that leave differences between members in their residuals."""
    one = np.ones_like(f.views)
    for c, channel in enumerate(channels):
        sends = f.sends[c]
        bent = f.fatigue[1] * f.fatigue[1] * np.float32(0.1)
        base = [one, sends, f.all_sends - sends, *f.fatigue, bent]
        yield Regression(f"{channel}: opens between members", [], base, f.opens[c], sends)
        name = f"{channel}: dismissals between members"
        yield Regression(name, [], base, f.dismissals[c], f.unopened[c])


def _deviation_names(channels: tuple[str, ...]) -> list[str]:
    loads = [f"{c}: load {k}" for k in (2, 3) for c in channels]
    return ["sends", "opens", "fatigue 2", "fatigue 3", "fatigue 4", *loads]


def _deviations(f: Features) -> Columns:
    """Return messages in each week less the member's mean, 0 after its churn, each [T, n]."""
    weeks = np.maximum(f.alive.sum(axis=0), 1)
    loads = [load[k] for k in (1, 2) for load in f.load]
    columns = [f.all_sends, f.all_opens, *f.fatigue[1:], *loads]
    return [(x - (x * f.alive).sum(axis=0) / weeks) * f.alive for x in columns]


def _one(name: str, regressors: Columns, outcome: Float32) -> Regression:
    """Return a regression in which all weeks have weight 1."""
    return Regression(name, [], regressors, outcome, np.ones_like(outcome))


Equations = dict[str, tuple[Float64, Float64]]


def _equations(regressions: Iterator[Regression]) -> Equations:
    """Return the normal equations of regressions of rates, whose variance falls with the weight."""
    found = {}
    for r in regressions:
        rows = r.weight > 0
        x = np.stack([regressor[rows] for regressor in r.regressors], axis=1).astype(np.float64)
        weighed = x.T * r.weight[rows]
        ridge = _RIDGE * np.count_nonzero(rows) * np.eye(x.shape[1])
        found[r.name] = (weighed @ x + ridge, x.T @ r.outcome[rows].astype(np.float64))
    return found


def _fit(parts: list[Equations]) -> dict[str, Float64]:
    """Return the coefficients of regressions, given the equations of several shards."""
    found = {}
    for name in parts[0]:
        square = np.sum([part[name][0] for part in parts], axis=0)
        product = np.sum([part[name][1] for part in parts], axis=0)
        found[name] = np.asarray(np.linalg.lstsq(square, product)[0], np.float64)
    return found


def _whitening(covariance: Float64, num_members: int) -> Float64:
    """Return the inverse square root of a covariance whose correlations are shrunk towards 0."""
    spread = np.sqrt(np.diag(covariance))
    size = len(spread)
    shrinkage = min(_LEAST_SHRINKAGE + 0.5 * size / num_members, _MOST_SHRINKAGE)
    correlation = covariance / np.outer(spread, spread)
    correlation = (1 - shrinkage) * correlation + shrinkage * np.eye(size)
    values, vectors = np.linalg.eigh(correlation)
    root = vectors / np.sqrt(np.maximum(values, _FLOOR))
    return np.asarray(root @ vectors.T / spread[None], np.float64)
