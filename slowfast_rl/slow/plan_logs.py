"""Logs of members whose plans were drawn at random: simulated ones, and those of a company."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from slowfast_rl.logs.sampling import MAX_ROWS, RowSample
from slowfast_rl.logs.weekly_log import WeeklyLog
from slowfast_rl.members.arrays import Bool, Float32, Float64, Int64
from slowfast_rl.members.population import Population
from slowfast_rl.members.state import Week, put_rows, take_rows
from slowfast_rl.members.world import World
from slowfast_rl.policies.contracts import Executor, PlanRequest
from slowfast_rl.policies.executor import default_executor
from slowfast_rl.policies.guard import feasible_target
from slowfast_rl.policies.plan_exchange import plan_request
from slowfast_rl.slow.simple import RandomPlanner

if TYPE_CHECKING:
    from slowfast_rl.logs.reading import EventLog  # needs the extra offline


class PlanLogs(NamedTuple):
    """B windows, in each of which a member held one randomly drawn plan."""

    observations: Float32  # [B, F_week] when the plan was drawn
    feasible: Bool  # [B, O] plans that could be drawn
    members: Int64  # [B] ids
    plans: Int64  # [B] plans that were drawn
    outcomes: Float32  # [B, M] of ``outcome_names``, discounted sums over the window
    propensity: Float64  # [B] probability with which the plan was drawn
    # [B] probability that the plan would have been held to the window's end: 1, except where the
    # member churned before and nothing shows for how long the plan was meant to be held
    held: Float64


def importance_weights(logs: PlanLogs) -> Float64 | None:
    """Return weights that make windows stand for uniform plans held to the end, [B].

    They are those of inverse propensities, relative to uniform plans; None if all are 1.
    """
    weights: Float64 = logs.held / (logs.propensity * logs.feasible.sum(axis=1))
    return None if np.allclose(weights, 1, rtol=1e-9, atol=0) else weights


def outcome_names(world: World) -> tuple[str, ...]:
    """Return the reward components of the logs, M = 3 + C."""
    return ("viewing_days", "opens", "churn", *(f"{c}_opt_outs" for c in world.channels))


def outcome_weights(world: World, weight: Callable[[str], float] | None = None) -> Float64:
    """Return the weight of each outcome in the utility, in the order of ``outcome_names``, [M].

    Args:
        world: the world.
        weight: returns a weight by its name: viewing_day, logged_open, opt_out or churn; None for
            those of the world, of which a logged open has the weight of a causal one.
    """
    known = weight or (lambda name: reward_weight(world, name))
    signs = {"viewing_days": ("viewing_day", 1), "opens": ("logged_open", 1)}
    signs |= {"churn": ("churn", -1)}
    pairs = [signs.get(name, ("opt_out", -1)) for name in outcome_names(world)]
    return np.array([sign * known(name) for name, sign in pairs])


def reward_weight(world: World, name: str) -> float:
    """Return the world's own weight of a logged outcome or of a message."""
    return float(getattr(world.reward, {"logged_open": "causal_open"}.get(name, name)))


def collect_plan_logs(
    world: World,
    num_members: int,
    weeks: int,
    window: int,
    seed: int,
    executor: Executor | None = None,
    progress: Callable[[int], object] | None = None,
) -> PlanLogs:
    """Simulate members under random feasible plans, each held for a window of weeks.

    A member's windows follow one another, and members begin theirs in different weeks. Windows that
    have not ended in the last week are left out. The window of a member that churns continues
    without further outcomes. Outcomes are logged events only.

    Args:
        world: the world.
        num_members: number of members, of population ``seed``.
        weeks: number of weeks.
        window: number of weeks in which a plan is held.
        seed: seed of population, luck and plans.
        executor: the fast policy that executes the plans; None for the default.
        progress: function that is called before each week with the opportunities simulated so far.
    """
    executor, planner = executor or default_executor(), RandomPlanner(seed)
    population, num_outcomes = Population(world, num_members, seed, seed), len(outcome_names(world))
    logs = _drawn(plan_request(population), planner, num_outcomes)
    whole = np.zeros(num_members, bool)  # [N] whether the log has the beginning of the window
    finished: list[PlanLogs] = []
    for week in range(weeks + 1):
        age = (week + population.members) % window  # [N] weeks since the plan was drawn
        ended = (age == 0) & whole
        finished.append(take_rows(logs, ended))
        if week == weeks:
            break
        if progress is not None:
            progress(week * num_members * world.slots_per_week)
        begins = np.flatnonzero((age == 0) & population.alive)
        whole = np.where(age == 0, population.alive, whole)
        put_rows(logs, begins, _drawn(plan_request(population, begins), planner, num_outcomes))
        target = feasible_target(world.plans[logs.plans], population.opted_in)
        simulated = executor.run_week(population, target)
        logs.outcomes[:] += world.reward.weekly_discount ** age[:, None] * simulated_outcomes(
            simulated
        )
    return PlanLogs(*(np.concatenate(columns) for columns in zip(*finished, strict=True)))


def _drawn(asked: PlanRequest, planner: RandomPlanner, num_outcomes: int) -> PlanLogs:
    """Return a new window of each of B members."""
    return PlanLogs(
        observations=asked.observations,
        feasible=asked.feasible,
        members=asked.entity_ids,
        plans=planner.plan(asked),
        outcomes=np.zeros((len(asked.entity_ids), num_outcomes), np.float32),
        propensity=1 / asked.feasible.sum(axis=1),
        held=np.ones(len(asked.entity_ids)),
    )


def simulated_outcomes(week: Week) -> Float32:
    """Return the week's outcomes in the order of ``outcome_names``, [N, M]."""
    opens = week.opens.sum(axis=1)
    return np.column_stack([week.viewing_days, opens, week.churned, week.opt_outs])


class _Window(NamedTuple):
    """B windows of a log, as :class:`PlanLogs`, of which ``held`` is not known yet."""

    observations: Float32
    feasible: Bool
    members: Int64
    plans: Int64
    outcomes: Float32
    propensity: Float64
    last: Int64  # [B] number of the window's week in which the member churned, or the last one


def plan_logs_of(log: "EventLog", window: int, max_rows: int = MAX_ROWS, seed: int = 0) -> PlanLogs:
    """Return the windows of a log in which a member held one plan, drawn by chance.

    A window begins in the week in which a plan was drawn, and is used if the plan was held for at
    least ``window`` weeks. For how long a plan is held must have been decided before it was drawn,
    or independently of it: then the plans that were held longer are not selected.

    The window of a member that churns ends there, without further outcomes, and the log does not
    show whether the plan would have been held longer. The probability of it is estimated from the
    windows of members that stayed (Kaplan & Meier 1958), and is the window's ``held``. Without
    these windows nobody would churn; with all of them, churn would be counted too often.

    Args:
        log: the log.
        window: number of weeks in which a plan is held.
        max_rows: number of windows that are kept at most; which ones is drawn.
        seed: of this draw.

    Raises:
        ValueError: the log has no such window, or none of a plan that was drawn by chance.
    """
    from slowfast_rl.logs.histories import MemberHistories

    kept = RowSample[_Window](max_rows, seed)
    ended, stayed = np.zeros(window, np.int64), np.zeros(window, np.int64)  # by week of the window
    begun = 0
    for part in log.parts():
        histories = MemberHistories(log, part)
        table = histories.table
        usable, last = _whole_windows(table, window, ended, stayed)
        begun += int(usable.sum())
        outcomes = logged_outcomes(table)
        for replay in histories.replay():
            week = replay.week
            rows = np.flatnonzero(usable[week]) if week < len(usable) else np.zeros(0, np.int64)
            if not rows.size:
                continue
            asked = replay.plan_request()
            chosen, chance = table.plans[week, rows], table.propensity[week, rows]
            feasible = asked.feasible[rows]
            # A plan without an alternative says nothing, nor does one that was not left to chance.
            free = (feasible.sum(axis=1) > 1) & (chance < 1)
            free &= feasible[np.arange(len(rows)), chosen]
            rows, chosen, chance = rows[free], chosen[free], chance[free]
            total = sum(
                log.world.reward.weekly_discount**k * outcomes[week + k, rows]
                for k in range(window)
            )
            found = _Window(
                asked.observations[rows], feasible[free], table.members[rows], chosen,
                np.asarray(total, np.float32), chance, last[week, rows],
            )  # fmt: skip
            kept.add(found.members, np.full(len(rows), week), found)
    windows = kept.rows()
    stays = 1 - ended / np.maximum(stayed, 1)  # [window] from one week to the next
    after = np.append(np.cumprod(stays[::-1])[::-1][1:], 1.0)  # [window] until the end
    if windows is None or not (after[windows.last] > 0).any():
        what = "that was drawn by chance" if begun else "that was drawn"
        raise ValueError(
            f"{log.folder} has no plan {what} and held for {window} weeks; allowed is a window for "
            "which some plans were held"
        )
    windows = take_rows(windows, after[windows.last] > 0)
    return PlanLogs(*windows[:-1], held=after[windows.last])


def _whole_windows(
    table: WeeklyLog, window: int, ended: Int64, stayed: Int64
) -> tuple[Bool, Int64]:
    """Return which weeks begin a window that can be used, and how long it goes on, [T - W + 1, N].

    Args:
        table: the weeks of N members.
        window: W, number of weeks.
        ended: [W] how many plans of members that stayed were replaced in each week; added to.
        stayed: [W] how many might have been, likewise.
    """
    starts = max(len(table.plans) - window + 1, 0)
    held = (table.drawn & table.alive & (table.plans >= 0) & (table.propensity > 0))[:starts]
    last = np.full(held.shape, window - 1)
    open_ended = held.copy()  # neither churned nor replaced before
    for k in range(window):
        weeks = slice(k, k + starts)
        if k:
            open_ended &= table.alive[weeks]
            again = open_ended & table.drawn[weeks]
            ended[k] += again.sum()
            stayed[k] += open_ended.sum()
            open_ended &= ~again
            held &= ~again
        gone = open_ended & table.churned[weeks]
        last[gone] = k
        if k < window - 1:  # who is missing next week without having churned has left the log
            held &= ~(open_ended & ~gone) | table.alive[k + 1 : k + 1 + starts]
        open_ended &= ~gone
    return held, last


def logged_outcomes(table: WeeklyLog) -> Float32:
    """Return the outcomes of each week in the order of ``outcome_names``, [T, N, M]."""
    totals = np.stack([table.viewing_days, table.opens.sum(axis=2), table.churned], axis=2)
    return np.concatenate([totals, table.opt_outs], axis=2).astype(np.float32)


def logged_rewards(world: World, table: WeeklyLog) -> Float64:
    """Return the logged reward of each week in viewing days, [T, N]; 0 where a member is not there.

    The world's reward counts the opens that messages caused; a log shows all opens, which get the
    same weight here.
    """
    earned = logged_outcomes(table) @ outcome_weights(world)
    cost = world.reward.message_cost * table.sends.sum(axis=2)
    return np.asarray(np.where(table.alive, earned - cost, 0.0), np.float64)
