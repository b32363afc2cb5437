"""Windows, weeks and opportunities of a log in the documented schema, ready to be evaluated."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from slowfast_rl.logs import EventLog, MemberHistories, WeeklyLog
from slowfast_rl.logs.episodes import weekly_rewards
from slowfast_rl.logs.replay import Replay
from slowfast_rl.members.arrays import Bool, Float32, Float64, Int64
from slowfast_rl.members.beliefs import BeliefFilter
from slowfast_rl.members.clock import DAY_SECONDS
from slowfast_rl.members.state import take_rows
from slowfast_rl.members.world import World
from slowfast_rl.ope.messages import MessageRows, Messages, evaluate_rows, reduce_messages
from slowfast_rl.ope.plans import HeldPlans
from slowfast_rl.ope.policies import policy_name
from slowfast_rl.ope.result import OffPolicyResult
from slowfast_rl.ope.weekly import LONGEST, WeeklyPlans
from slowfast_rl.policies.guard import feasible_plans
from slowfast_rl.slow.plan_logs import logged_outcomes

WHAT = ("plans", "weekly", "messages")
HORIZON = 4  # weeks, where none is given
REWARDS = {"viewed": "viewed that day", "opened": "opened the message"}
MOST_ROWS = 500_000  # opportunities that are kept in memory: less than 2 GB
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
    if not found.complete.all():
        warnings.append(
            f"{int((~found.complete).sum())} drawn plans are left out, whose members left the log "
            "before the horizon without having churned"
        )
    found = take_rows(found, whole if whole.any() else found.complete)
    if not len(found.plans):
        raise ValueError(
            f"all members with drawn plans left the log within {weeks} weeks without having "
            "churned; allowed is a shorter horizon"
        )
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
    held: Int64  # [B] weeks until the plan was redrawn, or the member or the log ended
    gone: Bool  # [B] whether it was churn
    known: Bool  # [B] whether plan and propensity are known
    beliefs: Float32  # [B, F_belief]; no columns without a belief filter
    complete: Bool  # [B] whether all outcomes to the horizon are known


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
    # Whether each member is in the log in a week, or churned before it.
    accounted = table.alive | np.vstack(
        [np.zeros_like(table.churned[:1]), np.logical_or.accumulate(table.churned)[:-1]]
    )
    found: list[_Windows] = []
    for week, replay in enumerate(histories.replay(belief_filter)):
        if week + horizon > log.weeks:
            break
        rows = np.flatnonzero(table.drawn[week] & table.alive[week])
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
                beliefs=_beliefs(replay, rows),
                complete=accounted[week + horizon - 1, rows],
            )
        )
        progress.tell((week + 1) / (log.weeks + 1))
    progress.tell(1)
    return _Windows(*(np.concatenate(column) for column in zip(*found, strict=True)))


def weeks_held(table: WeeklyLog) -> tuple[Int64, Bool]:
    """Return for how many weeks from each on the plan stays in force, and whether churn ends it.

    Returns:
        [T, N] weeks until another plan is drawn, the member is not in the log any more, or the log
        ends; and [T, N] whether the member churned then.
    """
    held, gone = np.ones(table.plans.shape, np.int64), table.churned.copy()
    for week in range(len(held) - 2, -1, -1):
        ahead = week + 1
        goes_on = ~table.churned[week] & table.alive[ahead] & ~table.drawn[ahead]
        held[week] += np.where(goes_on, held[ahead], 0)
        gone[week] |= goes_on & gone[ahead]
    return held, gone


def held_to_horizon(held: Int64, gone: Bool, horizon: int, seed: int = 0) -> Bool:
    """Return which windows are of plans that were meant to be held for the horizon, [B].

    A plan that ended when its member churned might have been held or redrawn later. To keep all of
    them would leave more churn in the windows than there was, to drop them less. Each is kept with
    the probability that a plan of its age is held to the horizon, estimated from the plans of
    members that stayed (Kaplan & Meier 1958). A member that leaves the log without having churned
    counts as one whose plan was redrawn. How long plans are held, and who leaves the log, must not
    depend on what members do.

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
    stays = 1 - redrawn / np.maximum(at_risk, 1)  # [H - 1] at each age, of those still there
    to_horizon = np.append(np.cumprod(stays[::-1])[::-1], 1.0)  # from each age on
    short = gone & (held < horizon)
    coins = np.random.default_rng(seed).random(len(held))
    kept[short] = coins[short] < to_horizon[held[short] - 1]
    return kept


def _weekly_outcomes(table: WeeklyLog) -> Float32:
    """Return logged outcomes in the order of ``outcome_columns``, [T, N, M]."""
    sends = table.sends.sum(axis=2, keepdims=True)
    return np.concatenate([logged_outcomes(table), sends], axis=2).astype(np.float32)


def weekly_plans(
    log: EventLog, belief_filter: BeliefFilter | None = None, progress: Progress = None
) -> WeeklyPlans:
    """Return the members of a log whose plans were drawn anew in every week.

    Of a member that churned before the log ended, it is not known whether its later plans would
    have been held. As many of them are kept as :func:`held_to_horizon` says, so that not too many
    members churn.

    Args:
        log: a log without errors.
        belief_filter: of the planner that will be evaluated, if it needs beliefs.
        progress: function that is called with the share of the log that has been read.

    Raises:
        ValueError: there are no such members.
    """
    parts = [
        _weekly_part(log, name, belief_filter, _PartProgress(progress, i, len(log.part_names)))
        for i, name in enumerate(log.part_names)
    ]
    drawn, gone = (np.concatenate(ends) for ends in zip(*(p[1] for p in parts), strict=True))
    kept = held_to_horizon(drawn, gone, log.weeks)
    rows = kept[(drawn >= log.weeks) | gone]  # of the members that the parts have
    if not rows.any():
        raise ValueError(
            "no member of the log has plans that were drawn every week with known propensities; "
            "allowed is a log with such members, or evaluating plans that are held"
        )
    found = [np.concatenate(c, axis=1)[:, rows] for c in zip(*(p[0] for p in parts), strict=True)]
    observations, feasible, members, plans, propensity, rewards, alive, beliefs = found
    return WeeklyPlans(
        observations, feasible, members[0], plans, propensity, rewards, alive,
        beliefs=None if belief_filter is None else beliefs,
    )  # fmt: skip


def _weekly_part(
    log: EventLog, name: str, belief_filter: BeliefFilter | None, progress: _PartProgress
) -> tuple[tuple[Any, ...], tuple[Int64, Bool]]:
    """Return members of one part whose plans were drawn every week until the end or their churn.

    Returns:
        Their columns, [T, n, ...] each; and of all members of the part the number of weeks from the
        first one on in which plans were drawn, and whether churn ended that, [N] each.
    """
    histories = MemberHistories(log, log.part(name))
    table, world = histories.table, log.world
    fit = table.drawn & (table.plans >= 0) & ~np.isnan(table.propensity) & table.alive
    drawn = np.cumprod(fit, axis=0, dtype=np.int64).sum(axis=0)
    last = np.maximum(drawn - 1, 0)
    gone = (drawn > 0) & (drawn < log.weeks) & table.churned[last, np.arange(len(last))]
    rows = np.flatnonzero((drawn >= log.weeks) | gone)
    observations, beliefs = [], []
    for week, replay in enumerate(histories.replay(belief_filter)):
        if week < log.weeks:
            observations.append(replay.weekly_observations()[rows])
            beliefs.append(_beliefs(replay, rows))
        progress.tell((week + 1) / (log.weeks + 1))
    flags: Bool = table.opted_in[:, rows].reshape(-1, len(world.channels))
    rewards = weekly_rewards(world, table)[:, rows]
    columns = (
        np.stack(observations),
        feasible_plans(world.plans, flags).reshape(log.weeks, len(rows), len(world.plans)),
        table.members[None, rows],
        table.plans[:, rows],
        table.propensity[:, rows],
        rewards,
        table.alive[:, rows],
        np.stack(beliefs),
    )
    return columns, (drawn, gone)


def _beliefs(replay: Replay, rows: Int64) -> Float32:
    """Return the beliefs about some members, [B, F_belief]; without beliefs no columns."""
    if replay.beliefs is None:
        return np.zeros((len(rows), 0), np.float32)
    found: Float32 = replay.beliefs.observations()[rows]
    return found


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
    unknown = 0  # decisions without probabilities
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
        rewards, known = _message_rewards(histories, reward)
        for seen in histories.opportunities():
            rows, done = seen.rows, done + len(seen.rows)
            told.tell(done / part.decisions.size)
            some = kept[histories.rows_of(given["member"][rows])]
            answers = ~np.isnan(given["probabilities"][rows]).any(axis=1)
            unknown += int((some & ~answers).sum())
            some &= answers
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
                known[rows],
            )
            found.append(reduce_messages(log.world, batch, policy))
    if not found:
        raise ValueError(
            f"no decision of {log.folder} has probabilities of all actions; allowed is a log with "
            "them, as an executor that explores makes it"
        )
    warnings = [f"{unknown} decisions are left out, whose probabilities are not known"]
    return MessageRows.joined(found, tuple(warnings if unknown else ()))


def _message_rewards(histories: MemberHistories, reward: str) -> tuple[Float64, Bool]:
    """Return the reward of each row of the part's decisions, and whether it was known before, [B].

    A view of the day is known before a later decision. One at midnight is not: a log that has only
    days has all its views there.
    """
    given = histories.part.decisions.columns
    rows = histories.rows_of(given["member"])
    if reward == "viewed":
        day, second = np.divmod(given["time"], DAY_SECONDS)
        first = histories.first_view[day, rows]
        return (first < DAY_SECONDS).astype(np.float64), (first > 0) & (first < second)
    opened = histories.followed(np.arange(len(rows)), "opened")
    return opened.astype(np.float64), np.zeros(len(rows), np.bool_)


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
        if horizon is not None:
            raise ValueError(f"horizon is {horizon} with what='messages'; allowed is None")
        name = settings.pop("name", None) or policy_name(policy)
        rows = message_rows(log, policy, reward, most_rows, progress=progress)
        return evaluate_rows(rows, name, **settings)
    beliefs = getattr(getattr(policy, "slow", policy), "belief_filter", None)
    if what == "weekly":
        weekly = weekly_plans(log, beliefs, progress)
        return weekly.evaluate(world, policy, horizon=horizon or LONGEST, **settings)
    windows = held_plans(log, horizon or HORIZON, beliefs, progress)
    return windows.evaluate(world, policy, **settings)
