"""Fit a world to a weekly log."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from slowfast_rl.fitting.backtest import backtest
from slowfast_rl.fitting.estimate import (
    Say,
    covariance,
    estimate,
    information,
    null_distribution,
)
from slowfast_rl.fitting.objective import Objective
from slowfast_rl.fitting.parameters import ParameterSpace
from slowfast_rl.fitting.plans import LoggedPlans
from slowfast_rl.fitting.result import (
    Fit,
    Statistic,
    combinations,
    fitted_parameters,
)
from slowfast_rl.fitting.settings import FitSettings
from slowfast_rl.fitting.simulate import Design, simulate_log
from slowfast_rl.fitting.statistics import Statistics, columns_of
from slowfast_rl.fitting.weekly_means import weekly_means
from slowfast_rl.logs.weekly_log import WeeklyLog
from slowfast_rl.members.arrays import Float64
from slowfast_rl.members.loading import as_world
from slowfast_rl.members.workers import cpu_seconds
from slowfast_rl.members.world import World
from slowfast_rl.policies.contracts import BaseExecutor, BasePlanner

_LEAST_WEEKS, _LEAST_MEMBERS = 4, 100


def fit(
    log: WeeklyLog,
    base: World | str | Path = "pronounced",
    *,
    planner: BasePlanner | None = None,
    executor: BaseExecutor | None = None,
    parameters: Sequence[str] | None = None,
    progress: Callable[[str], None] | None = None,
    settings: FitSettings | None = None,
    **values: Any,
) -> Fit:
    """Estimate the parameters of the world that a weekly log comes from.

    Args:
        log: what was observed of N members in T weeks; :func:`slowfast_rl.logs.weekly_table`
            makes it of a log in files.
        base: the world that the fit begins with, or its name or file; the prior is around its
            parameters, and those that are not fitted stay. It has the log's channels, topics and
            menu, as the ``world`` of a log that was read.
        planner: the rule by which plans were chosen, which is then simulated too. None where plans
            were drawn at random: simulated members then have plans of the log's members. A rule
            that is not given makes the fit wrong, and :attr:`Fit.verdict` says so.
        executor: the fast policy of the log; None for the default.
        parameters: names of what to fit, some of :data:`~slowfast_rl.fitting.parameters.FITTED`;
            None for all.
        progress: is called with a line of text after each step.
        settings: settings of the fit, or each by its name.
        **values: settings by name, see :class:`FitSettings`.

    Returns:
        The fit. Read its ``verdict`` first.

    Raises:
        ValueError: the log is too small, does not fit the base world, has impossible values, or a
            setting is not allowed.
    """
    begun = cpu_seconds()
    if settings is not None and values:
        raise ValueError("settings are given as one object and by name; allowed is either")
    settings = FitSettings(**values) if settings is None else settings
    base = as_world(base)
    say = progress or (lambda text: None)
    log = _complete(log, base, say)
    opted_in = log.opted_in[0]
    space = ParameterSpace(base, opted_in.mean(axis=0), parameters)
    weeks = len(log.plans)
    statistics = Statistics(log, base.channels, _ramp(weeks, settings.ramp_weeks))
    plans = LoggedPlans(log) if planner is None else planner
    simulated = None if executor is None else executor.for_simulation()
    design = Design(weeks, log.launches, plans, simulated, settings.history_weeks)
    objective = Objective(space, statistics, design)
    found = estimate(objective, settings, say)
    world, n = space.world(found.theta, f"{base.name}-fitted"), statistics.num_members
    shown = simulate_log(world, design, min(n, settings.members), settings.seed + 1)
    errors = covariance(found.derivatives, objective, settings)
    spread = settings.prior_spread
    goodwill = [i for i, p in enumerate(space.parameters) if p.is_goodwill]
    return Fit(
        world=world,
        base=base,
        parameters=fitted_parameters(
            space.labels,
            [p.shifted for p in space.parameters],
            space.values(base),
            space.values(world),
            errors,
            spread,
        ),
        opt_in=world.traits.opt_in,
        objective=n * float(found.gap @ found.gap),
        null=null_distribution(found, objective, settings),
        history=found.history,
        information=n * information(found.derivatives),
        covariance=errors,
        combinations=combinations(space.labels, goodwill, errors, spread),
        statistics=_compared(statistics, found.gap, settings),
        weekly=weekly_means(log, shown, base.channels),
        arms=backtest(log, shown, world),
        space=space,
        design=design,
        theta=found.theta,
        num_members=n,
        weeks=weeks,
        settings=settings,
        cpu_seconds=cpu_seconds() - begun,
    )


def _compared(statistics: Statistics, gap: Float64, settings: FitSettings) -> tuple[Statistic, ...]:
    """Return the statistics of the log and of the fitted world."""
    difference = np.linalg.solve(statistics.whitening, gap)
    share = 1 / statistics.num_members + 1 / settings.members
    errors = np.sqrt(np.diag(statistics.covariance) * share)
    columns = statistics.observed, statistics.observed + difference, difference / errors
    return tuple(
        Statistic(name, *(float(value) for value in row))
        for name, *row in zip(statistics.names, *columns, strict=True)
    )


def _ramp(weeks: int, ramp: int) -> Float64:
    """Return weights that rise to 1 in the first weeks, [T]."""
    return np.asarray(np.minimum((np.arange(weeks) + 0.5) / max(ramp, 0.5), 1.0))


def _complete(log: WeeklyLog, base: World, say: Say) -> WeeklyLog:
    """Return the log of the members that are there when it begins, after checks."""
    _check(log, base)
    weeks, members = log.plans.shape
    here = np.flatnonzero(log.alive[:1].any(axis=0))
    if weeks < _LEAST_WEEKS or len(here) < _LEAST_MEMBERS:
        raise ValueError(
            f"the log has {len(here)} members in its first week and {weeks} weeks; allowed is at "
            f"least {_LEAST_MEMBERS} and {_LEAST_WEEKS}"
        )
    if len(here) == members:
        return log
    say(f"{members - len(here)} of {members} members are left out: not there in the first week")
    return columns_of(log, here)


def _check(log: WeeklyLog, base: World) -> None:
    """Check that the arrays fit each other and the base world, and hold what can be counted."""
    if not hasattr(log, "viewing_days"):
        raise ValueError(f"the log is {log!r}; allowed is a table of sf.logs.weekly_table")
    weeks, members = log.plans.shape
    one, each = (weeks, members), (weeks, members, len(base.channels))
    counts = ("sends", "opens", "dismissals", "opt_outs", "viewing_days")
    wanted = {"launches": (7 * weeks, base.num_topics), "members": (members,)}
    wanted |= dict.fromkeys(("alive", "churned", "viewing_days"), one)
    wanted |= dict.fromkeys((*counts[:4], "opted_in"), each)
    for name, shape in wanted.items():
        found = getattr(log, name).shape
        if found != shape:
            raise ValueError(
                f"{name} of the log has shape {found}; allowed is {shape} with world {base.name}"
            )
    for name in counts:
        values = getattr(log, name)
        if not (np.isfinite(values) & (values >= 0)).all():
            raise ValueError(f"{name} of the log has impossible values; allowed is 0 or more")
    if int(log.plans.max(initial=-1)) >= len(base.plans):
        raise ValueError(
            f"the log has plan {int(log.plans.max())}; allowed is 0 to {len(base.plans) - 1}, the "
            f"menu of world {base.name}"
        )
