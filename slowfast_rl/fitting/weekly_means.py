"""What happened in each week, of an observed log and of a simulated one."""

from typing import NamedTuple

import numpy as np

from slowfast_rl.logs.weekly_log import WeeklyLog
from slowfast_rl.members.arrays import Float32, Float64


class WeeklyMean(NamedTuple):
    """One number in each of T weeks, of the log and of the fitted world.

    Attributes:
        name: what it is, with its unit.
        channel: of which channel; empty for none.
        observed: [T], NaN where a week has no such number.
        simulated: [T].
    """

    name: str
    channel: str
    observed: Float64
    simulated: Float64


def weekly_means(
    observed: WeeklyLog, simulated: WeeklyLog, channels: tuple[str, ...]
) -> tuple[WeeklyMean, ...]:
    """Return numbers by which people judge whether two logs are alike."""
    ours, theirs = _means(observed, channels), _means(simulated, channels)
    return tuple(WeeklyMean(*key, values, theirs[key]) for key, values in ours.items())


def _means(log: WeeklyLog, channels: tuple[str, ...]) -> dict[tuple[str, str], Float64]:
    living = log.alive.sum(axis=1)
    found = {
        ("viewing days a living member", ""): _ratio(log.viewing_days.sum(axis=1), living),
        ("churn a living member", ""): _ratio((log.churned & log.alive).sum(axis=1), living),
    }
    columns = {
        name: np.asarray(getattr(log, name).sum(axis=1), np.float64)
        for name in ("sends", "opens", "dismissals", "opt_outs")
    }
    opted_in = (log.opted_in & log.alive[:, :, None]).sum(axis=1)
    for c, channel in enumerate(channels):
        sends, opens, dismissals, opt_outs = (column[:, c] for column in columns.values())
        found[("sends a living member", channel)] = _ratio(sends, living)
        found[("opens a send", channel)] = _ratio(opens, sends)
        found[("dismissals an unopened send", channel)] = _ratio(dismissals, sends - opens)
        found[("opt-outs a send", channel)] = _ratio(opt_outs, sends)
        found[("opted in, share of the living", channel)] = _ratio(opted_in[:, c], living)
    return found


def _ratio(counts: Float32 | Float64, of: Float32 | Float64) -> Float64:
    """Return ratios, NaN where there is nothing to divide by."""
    of = np.asarray(of, np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(of > 0, np.asarray(counts, np.float64) / of, np.nan)
