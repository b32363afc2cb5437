"""Windows, weeks and opportunities of a log in the documented schema, ready to be evaluated."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from slowfast_rl.logs import EventLog, MemberHistories, WeeklyLog
from slowfast_rl.members.arrays import Bool, Float32, Float64, Int64
from slowfast_rl.members.beliefs import BeliefFilter
from slowfast_rl.members.clock import DAY_SECONDS
from slowfast_rl.members.state import take_rows
from slowfast_rl.members.world import World
from slowfast_rl.ope.messages import MessageRows, Messages, evaluate_rows, reduce_messages
from slowfast_rl.ope.plans import HeldPlans, outcome_weights
from slowfast_rl.ope.policies import policy_name
from slowfast_rl.ope.result import OffPolicyResult
from slowfast_rl.ope.weekly import LONGEST, WeeklyPlans
from slowfast_rl.policies.guard import feasible_plans

WHAT = ("plans", "weekly", "messages")
HORIZON = 4  # weeks, where none is given
REWARDS = {"viewed": "viewed that day", "opened": "opened the message"}
MOST_ROWS = 1_500_000  # opportunities that are kept in memory
Progress = Callable[[float], object] | None  # is told which share of a log has been read


class _PartProgress(NamedTuple):
    """Tells of the progress within one part of a log."""

    progress: Progress
    number: int  # of the part
    parts: int

    def tell(self, share: float) -> None:
        """Tell which share of the part has been read."""
        if self.progress is not None:
            self.progress((self.number + share) / self.parts)


def held_plans(
    log: EventLog,
    horizon: int,
    belief_filter: BeliefFilter | None = None,
    progress: Progress = None,
) -> HeldPlans:
    """Return the windows of a log in which a drawn plan was held for the horizon.

    Where no plan was held that long, all drawn plans are windows, and the result warns of it. A
    horizon longer than the log is cut to the log.

    Args:
        log: a log without errors.
        horizon: number of weeks.
        belief_filter: of the planner that will be evaluated, if it needs beliefs.
        progress: function that is called with the share of the log that has been read.

    Raises:
        ValueError: no plan was drawn with a known propensity.
    """
    weeks, warnings = min(horizon, log.weeks), []
    if weeks < horizon:
        warnings.append(
            f"the horizon of {horizon} weeks is longer than the log: outcomes are summed over "
            f"{weeks} weeks"
        )
    parts = [
        _windows(log, name, weeks, belief_filter, _PartProgress(progress, i, len(log.part_names)))
        for i, name in enumerate(log.part_names)
    ]
    found = _Windows(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    if not found.known.all():
        warnings.append(
            f"{int((~found.known).sum())} drawn plans are left out, whose propensity is not known "
            "or which are not on the menu"
        )
        found = take_rows(found, found.known)
    if not len(found.plans):
        raise ValueError(
            f"no plan of the log was drawn with a known propensity {weeks} weeks or more before "
            "its end; allowed is a shorter horizon, or a log with propensities"
        )
    whole = held_to_horizon(found.held, found.gone, weeks)
    if whole.any():
        found = take_rows(found, whole)
    return HeldPlans(
        observations=found.observations,
        feasible=found.feasible,
        members=found.members,
        weeks=found.weeks,
        plans=found.plans,
        propensity=found.propensity,
        outcomes=found.outcomes,
        horizon=weeks,
        held=np.where(found.gone, weeks, found.held),
        beliefs=None if belief_filter is None else found.beliefs,
        warnings=tuple(warnings),
    )


class _Windows(NamedTuple):
    """The B drawn plans of some members, with what followed."""

    observations: Float32  # [B, F_week]
    feasible: Bool  # [B, O]
    members: Int64  # [B]
    weeks: Int64  # [B]
    plans: Int64  # [B]
    propensity: Float64  # [B]
    outcomes: Float32  # [B, M]
    held: Int64  # [B] weeks until the plan was redrawn, the member churned or the log ended
    gone: Bool  # [B] whether it was churn
    known: Bool  # [B] whether plan and propensity are known
    beliefs: Float32  # [B, F_belief]; no columns without a belief filter


def _windows(
    log: EventLog,
    name: str,
    horizon: int,
    belief_filter: BeliefFilter | None,
    progress: _PartProgress,
) -> _Windows:
    """Return the plans of one part that were drawn early enough for the horizon."""
    histories = MemberHistories(log, log.part(name))
    table, world = histories.table, log.world
    outcomes = _weekly_outcomes(table)  # [T, N, M]
    discount = world.reward.weekly_discount ** np.arange(horizon)
    held, gone = weeks_held(table)
    found: list[_Windows] = []
    for week, replay in enumerate(histories.replay(belief_filter)):
        if week + horizon > log.weeks:
            break
        rows = np.flatnonzero(table.drawn[week] & table.alive[week])
        beliefs = np.zeros((len(rows), 0), np.float32)
        if replay.beliefs is not None:
            beliefs = replay.beliefs.observations()[rows]
        plans, propensity = table.plans[week, rows], table.propensity[week, rows]
        window = outcomes[week : week + horizon, rows]
        found.append(
            _Windows(
                observations=replay.weekly_observations()[rows],
                feasible=feasible_plans(world.plans, table.opted_in[week, rows]),
                members=table.members[rows],
                weeks=np.full(len(rows), week),
                plans=plans,
                propensity=propensity,
                outcomes=np.einsum("t,tnm->nm", discount, window).astype(np.float32),
                held=held[week, rows],
                gone=gone[week, rows],
                known=(plans >= 0) & ~np.isnan(propensity),
                beliefs=beliefs,
            )
        )
        progress.tell((week + 1) / (log.weeks + 1))
    progress.tell(1)
    return _Windows(*(np.concatenate(column) for column in zip(*found, strict=True)))


def weeks_held(table: WeeklyLog) -> tuple[Int64, Bool]:
    """Return for how many weeks from each on the plan stays in force, and whether churn ends it.

    Returns:
        [T, N] weeks until another plan is drawn, the member churns or the log ends; and [T, N]
        whether it is churn.
    """
    weeks, members = table.plans.shape
    held, gone = np.empty((weeks, members), np.int64), np.empty((weeks, members), np.bool_)
    ahead, leaves = np.zeros(members, np.int64), np.zeros(members, np.bool_)
    for week in range(weeks - 1, -1, -1):
        last = week + 1 == weeks
        stays = ~table.churned[week] & (last | table.alive[min(week + 1, weeks - 1)])
        goes_on = stays & (False if last else ~table.drawn[week + 1])
        ahead = np.where(goes_on, ahead + 1, 1)
        leaves = np.where(goes_on, leaves, ~stays)
        held[week], gone[week] = ahead, leaves
    return held, gone


def held_to_horizon(held: Int64, gone: Bool, horizon: int, seed: int = 0) -> Bool:
    """Return which windows are of plans that were meant to be held for the horizon, [B].

    A plan that ended when its member churned might have been held or redrawn later. To keep all of
    them would leave more churn in the windows than there was, to drop them less. Each is kept with
    the probability that a plan of its age is held to the horizon, estimated from the plans of
    members that stayed (Kaplan & Meier 1958). How long plans are held must not depend on members.

    Args:
        held: [B] weeks for which each plan was held.
        gone: [B] whether churn ended it.
        horizon: number of weeks.
        seed: of the draws.
    """
    kept: Bool = held >= horizon
    if not (kept & ~gone).any():
        return np.zeros(len(held), np.bool_)
    ages = np.arange(1, horizon)
    redrawn = np.bincount(held[~gone & (held < horizon)], minlength=horizon)[1:horizon]
    at_risk = redrawn + [int((held > age).sum()) for age in ages]
    stays = 1 - redrawn / np.maximum(
        at_risk, 1
    )  # [H - 1] at each age, of those not churned by then
    to_horizon = np.append(np.cumprod(stays[::-1])[::-1], 1.0)  # from each age on
    short = gone & (held < horizon)
    coins = np.random.default_rng(seed).random(len(held))
    kept[short] = coins[short] < to_horizon[held[short] - 1]
    return kept


def _weekly_outcomes(table: WeeklyLog) -> Float32:
    """Return logged outcomes in the order of ``outcome_columns``, [T, N, M]."""
    scalars = [table.viewing_days, table.opens.sum(axis=2), table.churned]
    columns = [*scalars, *np.moveaxis(table.opt_outs, 2, 0), table.sends.sum(axis=2)]
    return np.stack(columns, axis=2).astype(np.float32)


def weekly_plans(log: EventLog, progress: Progress = None) -> WeeklyPlans:
    """Return the members of a log whose plans were drawn anew in each week of their lives.

    Args:
        log: a log without errors.
        progress: function that is called with the share of the log that has been read.

    Raises:
        ValueError: there are no such members.
    """
    parts = [
        _weekly_part(log, name, _PartProgress(progress, i, len(log.part_names)))
        for i, name in enumerate(log.part_names)
    ]
    found = [np.concatenate(column, axis=1) for column in zip(*parts, strict=True)]
    observations, feasible, plans, propensity, rewards, alive, members = found
    if not members.size:
        raise ValueError(
            "no member of the log has plans that were drawn every week with known propensities; "
            "allowed is a log with such members, or evaluating plans that are held"
        )
    return WeeklyPlans(observations, feasible, members[0], plans, propensity, rewards, alive)


def _weekly_part(log: EventLog, name: str, progress: _PartProgress) -> tuple[Any, ...]:
    histories = MemberHistories(log, log.part(name))
    table, world = histories.table, log.world
    fit = table.drawn & (table.plans >= 0) & ~np.isnan(table.propensity)
    rows = np.flatnonzero((fit | ~table.alive).all(axis=0) & table.alive[0])
    observations = []
    for week, replay in enumerate(histories.replay()):
        if week < log.weeks:
            observations.append(replay.weekly_observations()[rows])
        progress.tell((week + 1) / (log.weeks + 1))
    flags: Bool = table.opted_in[:, rows].reshape(-1, len(world.channels))
    rewards: Float64 = _weekly_outcomes(table)[:, rows] @ outcome_weights(world)
    return (
        np.stack(observations),
        feasible_plans(world.plans, flags).reshape(log.weeks, len(rows), -1),
        table.plans[:, rows],
        table.propensity[:, rows],
        rewards,
        table.alive[:, rows],
        table.members[None, rows],
    )


def message_rows(
    log: EventLog,
    policy: Any,
    reward: str = "viewed",
    most_rows: int = MOST_ROWS,
    seed: int = 0,
    progress: Progress = None,
) -> MessageRows:
    """Return the opportunities of a log, reduced to what the evaluation of a policy needs.

    Args:
        log: a log without errors, with the probabilities of all actions.
        policy: an executor that knows its probabilities, or an agent with one.
        reward: "viewed" on the day of the opportunity, or "opened" the message.
        most_rows: about how many opportunities are used at most; of a larger log a random sample of
            members is used.
        seed: seed of the sample.
        progress: function that is called with the share of the log that has been read.

    Raises:
        ValueError: the log lacks what is needed, or the policy does not know its probabilities.
    """
    if reward not in REWARDS:
        raise ValueError(f"reward is {reward!r}; allowed: {', '.join(REWARDS)}")
    found: list[MessageRows] = []
    share: float | None = None
    rng = np.random.default_rng(seed)
    for number, name in enumerate(log.part_names):
        told, done = _PartProgress(progress, number, len(log.part_names)), 0
        part = log.part(name)
        given = part.decisions.columns
        if "probabilities" not in given:
            raise ValueError(
                f"{log.folder} has no probabilities of all actions; allowed is a log with them, as "
                "an executor that explores makes it"
            )
        histories = MemberHistories(log, part)
        if share is None:
            share = most_rows / max(part.decisions.size * len(log.part_names), 1)
        kept = rng.random(len(histories.members)) < share
        rewards = _message_rewards(histories, reward)
        for seen in histories.opportunities():
            rows, done = seen.rows, done + len(seen.rows)
            told.tell(done / part.decisions.size)
            some = kept[histories.rows_of(given["member"][rows])]
            some &= ~np.isnan(given["probabilities"][rows]).any(axis=1)
            if not some.any():
                continue
            rows, plan = rows[some], take_rows(seen.plan, some)
            batch = Messages(
                seen.observations[some],
                given["member"][rows],
                given["action"][rows].astype(np.int64),
                given["probabilities"][rows],
                rewards[rows],
                plan,
                REWARDS[reward],
            )
            found.append(reduce_messages(log.world, batch, policy))
    if not found:
        raise ValueError(
            f"no decision of {log.folder} has probabilities of all actions; allowed is a log with "
            "them, as an executor that explores makes it"
        )
    return MessageRows.joined(found)


def _message_rewards(histories: MemberHistories, reward: str) -> Float64:
    """Return the reward of each row of the part's decisions, [B]."""
    given = histories.part.decisions.columns
    rows = histories.rows_of(given["member"])
    if reward == "viewed":
        viewed: Float64 = histories.viewed[given["time"] // DAY_SECONDS, rows].astype(np.float64)
        return viewed
    return histories.followed(rows, given["time"], "opened").astype(np.float64)


def log_world(log: Any, policy: Any, world: World | None) -> World:
    """Return the world of a log, else the one given, else the policy's.

    Raises:
        ValueError: there is none.
    """
    for found in (world, getattr(log, "world", None), getattr(policy, "world", None)):
        if found is not None:
            return found
    raise ValueError("the log and the policy have no world; give one as world=")


def evaluate_log(
    log: EventLog,
    policy: Any,
    what: str,
    world: World,
    *,
    horizon: int | None = None,
    reward: str = "viewed",
    most_rows: int = MOST_ROWS,
    progress: Progress = None,
    **settings: Any,
) -> OffPolicyResult:
    """Evaluate a policy on a log; see :func:`slowfast_rl.ope.evaluate`."""
    if what not in WHAT:
        raise ValueError(f"what is {what!r}; allowed: {', '.join(WHAT)}")
    if what == "messages":
        name = settings.pop("name", None) or policy_name(policy)
        rows = message_rows(log, policy, reward, most_rows, progress=progress)
        return evaluate_rows(rows, name, **settings)
    if what == "weekly":
        weeks = weekly_plans(log, progress)
        return weeks.evaluate(world, policy, horizon=horizon or LONGEST, **settings)
    planner = getattr(policy, "slow", policy)
    belief_filter = getattr(planner, "belief_filter", None)
    windows = held_plans(log, horizon or HORIZON, belief_filter, progress)
    return windows.evaluate(world, policy, **settings)
