"""Fitted Q evaluation of plans that are redrawn every week, with a backtest for each plan.

Where plans are drawn anew every week, weights of whole trajectories are products of weekly weights:
with 63 plans, no effective sample is left after two weeks. A linear fitted Q evaluation (Le,
Voloshin & Yue 2019) needs no weights: the value with h weeks to go is a regression of reward plus
the value with h - 1 weeks to go, which assumes that an observation says all about a member that
matters. It does not, because traits are hidden; the longer the horizon, the more of what members
are like is read as what plans did. Use it to rank policies over up to 8 weeks, look at the
backtest, and do not trust its numbers; its interval has the error of the fit in it, and not this
bias. The diagnostics are about the weights of single weeks: they say whether the log contains what
the policy would choose, although no estimate is weighted.
"""

from typing import Any, NamedTuple

import numpy as np

from slowfast_rl.evaluation.statistics import Z95, Interval
from slowfast_rl.members.arrays import Bool, Float32, Float64, Int64
from slowfast_rl.members.world import World
from slowfast_rl.ope.diagnostics import Diagnostics, diagnose, unsupported_mass, weight_warnings
from slowfast_rl.ope.estimators import (
    Estimate,
    check_rewards,
    cluster_numbers,
    clustered_interval,
    importance_weights,
)
from slowfast_rl.ope.policies import plan_probabilities, policy_name
from slowfast_rl.ope.result import OffPolicyResult
from slowfast_rl.ope.reward_model import check_ridge, possible_plans, usual_features
from slowfast_rl.policies.contracts import PlanRequest
from slowfast_rl.slow.effects import (
    baseline,
    centre_and_scale,
    plan_features,
    regress_on_surprise,
    standardised,
)
from slowfast_rl.slow.plan_effect_features import observation_terms

LONGEST = 8  # weeks up to which ranking was found to work
RIDGE = 0.03
LEVEL_RIDGE = 0.01  # of the value without surprise; a smaller one extrapolates from week to week
_LEAST = 30  # windows of a plan that the backtest shows
_FAR = 3.0  # standard errors, at which an arm of the backtest is far off
READING = {"fitted Q evaluation": "for ranking; its numbers are biased by what is not observed"}


class WeeklyPlans(NamedTuple):
    """T weeks of N members whose plans were drawn anew every week with known probabilities."""

    observations: Float32  # [T, N, F_week] on Monday
    feasible: Bool  # [T, N, O] plans that could be drawn
    members: Int64  # [N] ids
    plans: Int64  # [T, N] plans that were drawn
    propensity: Float64  # [T, N] probability of that plan, or [T, N, O] of all plans
    rewards: Float64  # [T, N] logged reward of the week
    alive: Bool  # [T, N] on Monday
    first_week: int = 0  # week of the first row
    beliefs: Float32 | None = None  # [T, N, F_belief], for policies that need them

    def evaluate(self, world: World, policy: Any, **settings: Any) -> OffPolicyResult:
        """Evaluate a policy on these weeks; see :func:`evaluate_weekly_plans`."""
        return evaluate_weekly_plans(world, self, policy, **settings)


class _Rows(NamedTuple):
    """The M member-weeks of living members."""

    week: Int64  # [M] from 0
    member: Int64  # [M] row of the member
    x: Float32  # [M, 1 + T]
    surprise: Float32  # [M, G] features of the drawn plan minus their mean over the draw
    aimed: Float32  # [M, G] mean features of the target's plan minus the same
    reward: Float64  # [M]
    following: Int64  # [M] row of the member's next week; -1 where it churned
    ends: Bool  # [M] whether the log ends with this week


class _Values(NamedTuple):
    """Coefficients of the values with h = 1 … H weeks to go."""

    level: Float64  # [H, 1 + T]
    effects: Float64  # [H, G, 1 + T]


def evaluate_weekly_plans(
    world: World,
    log: WeeklyPlans,
    policy: Any,
    *,
    horizon: int = LONGEST,
    name: str | None = None,
    ridge: float = RIDGE,
) -> OffPolicyResult:
    """Return the value of a policy that plans every week, from the first week of the log on.

    Args:
        world: the world, for its menu, its discount and the layout of observations.
        log: the weeks.
        policy: a planner, an agent with one, or [T, N, O] probabilities of its plans.
        horizon: number of weeks, 1 or more.
        name: name of the policy in the result; None for the policy's own.
        ridge: shrinkage of the effects of plans.

    Raises:
        ValueError: the arrays do not fit each other, the propensities are impossible or all 1, the
            policy chooses what the log could not contain, it needs what the log does not have, or a
            setting is not allowed.
    """
    if horizon < 1:
        raise ValueError(f"horizon is {horizon}; allowed is 1 or more")
    check_ridge(ridge)
    _check(log)
    rows, diagnostics = _rows(world, log, policy)
    weeks = len(log.plans)
    warnings = weight_warnings(diagnostics)
    if horizon > weeks:
        warnings.append(
            f"the horizon of {horizon} weeks is longer than the log, which has {weeks}: the values "
            "beyond it are extrapolated"
        )
    if horizon > LONGEST:
        warnings.append(
            f"the horizon is {horizon} weeks; beyond {LONGEST} fitted Q evaluation does not rank "
            "policies reliably"
        )
    discount = world.reward.weekly_discount
    precision: Float64 = regress_on_surprise(
        rows.x, rows.surprise, rows.reward.astype(np.float32)[:, None], ridge
    ).precision
    inverse: Float64 = np.asarray(np.linalg.inv(precision), np.float64)
    target = _fit(rows, rows.aimed, inverse, horizon, discount)
    logging = _fit(rows, np.zeros_like(rows.aimed), inverse, horizon, discount)
    lift = _lift(rows, target, logging, inverse, horizon, discount)
    backtest = _backtest(rows, log.plans, world, logging, horizon, discount)
    if not backtest:
        warnings.append(
            f"no plan was drawn {_LEAST} times or more early enough for the horizon: there is no "
            "backtest"
        )
    off = [arm for arm in backtest if abs(arm["standard_errors"]) > _FAR]
    if off:
        worst = max(off, key=lambda arm: abs(arm["standard_errors"]))
        warnings.append(
            f"the model is off by more than {_FAR:g} standard errors for {len(off)} of "
            f"{len(backtest)} plans in the backtest, most for {worst['plan']}: "
            f"{worst['predicted']:.2f} predicted, {worst['observed']:.2f} observed"
        )
    start = rows.week == 0
    logged = float(_value(rows.x, None, logging, horizon)[start].mean())
    value = Interval(*(end + logged for end in lift))
    return OffPolicyResult(
        policy=policy_name(policy) if name is None else name,
        kind="plans of every week",
        unit="discounted viewing days",
        logged=logged,
        estimates={"fitted Q evaluation": Estimate(lift, value)},
        reading=READING,
        diagnostics=diagnostics,
        warnings=warnings,
        backtest=backtest,
        settings={"horizon": horizon, "weeks of the log": weeks, "members": len(log.members)},
    )


def _check(log: WeeklyPlans) -> None:
    """Check that all arrays are about the same weeks and members, and that somebody is alive."""
    shape = log.plans.shape
    for name, part in log._asdict().items():
        found = part.shape if isinstance(part, np.ndarray) else shape
        if found[:2] != (shape[1:] if name == "members" else shape):
            raise ValueError(
                f"{name} has shape {found}; plans has {shape}, which it must begin with"
            )
    if not log.alive[:1].any():
        raise ValueError("no member is alive in the first week; allowed is a log that begins there")
    check_rewards(log.rewards[log.alive])


def _rows(world: World, log: WeeklyPlans, policy: Any) -> tuple[_Rows, Diagnostics]:
    """Return the living member-weeks with features of drawn and chosen plans, and diagnostics."""
    week, member = np.nonzero(log.alive)
    observations, feasible = log.observations[week, member], log.feasible[week, member]
    request = PlanRequest(
        observations,
        feasible,
        log.members[member],
        log.first_week + week,
        None if log.beliefs is None else log.beliefs[week, member],
    )
    if isinstance(policy, np.ndarray):
        if policy.shape != log.feasible.shape:
            raise ValueError(
                f"the policy has shape {policy.shape}; allowed is {log.feasible.shape}"
            )
        policy = policy[week, member]
    target, drawn = plan_probabilities(world, policy, request), log.plans[week, member]
    propensity = log.propensity[week, member]
    weights, of_drawn = importance_weights(drawn, propensity, target)
    missing = unsupported_mass(target, possible_plans(drawn, feasible, propensity))
    of_target = target[np.arange(len(drawn)), drawn]
    diagnostics = diagnose(weights, of_drawn, of_target, member, missing)
    features, terms = plan_features(world), observation_terms(world, observations)
    x = standardised(*centre_and_scale(terms), terms)
    usual = usual_features(features, drawn, feasible, propensity, x)
    number = np.full(log.alive.shape, -1)
    number[week, member] = np.arange(len(week))
    ahead = np.vstack([number[1:], np.full_like(number[:1], -1)])
    rows = _Rows(
        week=week,
        member=member,
        x=x,
        surprise=features[drawn] - usual,
        aimed=target.astype(np.float32) @ features - usual,
        reward=log.rewards[week, member].astype(np.float64),
        following=ahead[week, member],
        ends=week == len(log.alive) - 1,
    )
    return rows, diagnostics


def _fit(rows: _Rows, aimed: Float32, inverse: Float64, horizon: int, discount: float) -> _Values:
    """Return the values of a policy, whose features are ``aimed`` [M, G] above the usual ones."""
    level = np.zeros((horizon, rows.x.shape[1]))
    effects = np.zeros((horizon, aimed.shape[1], rows.x.shape[1]))
    found = _Values(level, effects)
    for h in range(1, horizon + 1):
        used = np.ones(len(rows.x), np.bool_) if h == 1 else ~rows.ends
        y = _outcome(rows, aimed, found, h, discount)[used].astype(np.float32)
        level[h - 1] = baseline(rows.x[used], (y - y.mean())[:, None], LEVEL_RIDGE)[:, 0]
        level[h - 1, 0] += y.mean()  # which is not shrunk
        residual = y - rows.x[used] @ level[h - 1].astype(np.float32)
        moment = (rows.surprise[used] * residual[:, None]).T.astype(np.float64) @ rows.x[used]
        # The Gram matrix is that of all rows; those of the last week are left out in proportion.
        scaled = inverse @ moment.ravel() * (len(rows.x) / max(int(used.sum()), 1))
        effects[h - 1] = scaled.reshape(moment.shape)
    return found


def _outcome(rows: _Rows, aimed: Float32, values: _Values, h: int, discount: float) -> Float64:
    """Return reward plus discounted value with h - 1 weeks to go, [M]."""
    if h == 1:
        return rows.reward
    now = _value(rows.x, aimed, values, h - 1)
    # Where members' histories have just begun, a linear model of the next week extrapolates, and
    # over some weeks it would leave all bounds. No value is beyond the best or worst of all weeks.
    most = (1 - discount ** (h - 1)) / (1 - discount) if discount < 1 else h - 1
    now = np.clip(now, rows.reward.min() * most, rows.reward.max() * most)
    later = np.where(rows.following >= 0, now[rows.following], 0.0)
    return np.asarray(rows.reward + discount * later)


def _value(x: Float32, features: Float32 | None, values: _Values, h: int) -> Float64:
    """Return the value with h weeks to go of actions with some features above the usual, [M]."""
    found = x @ values.level[h - 1]
    if features is not None:
        found = found + np.einsum("mg,mg->m", features, x @ values.effects[h - 1].T)
    return np.asarray(found, np.float64)


def _lift(
    rows: _Rows,
    target: _Values,
    logging: _Values,
    inverse: Float64,
    horizon: int,
    discount: float,
) -> Interval:
    """Return the difference in value of the first week's members, with its interval.

    The interval has the error of all regressions in it, which is followed back from the last one:
    an error of the value with h - 1 weeks to go moves all outcomes of the regression with h.
    This is a derivative, as the jackknife's is. A regression of regressions is not linear in the
    data, so that intervals are somewhat too wide (Efron & Stein 1981).
    """
    start, size = rows.week == 0, int((rows.week == 0).sum())
    gain = (_value(rows.x, rows.aimed, target, horizon) - _value(rows.x, None, logging, horizon))[
        start
    ]
    total = np.zeros(len(rows.x))
    zero = np.zeros_like(rows.aimed)
    for values, aimed, sign in ((target, rows.aimed, 1.0), (logging, zero, -1.0)):
        total += sign * _pulled(rows, aimed, values, inverse, start, horizon, discount)
    influence = np.bincount(rows.member, weights=total, minlength=int(rows.member.max()) + 1)
    influence[rows.member[start]] += gain - gain.mean()
    count = len(influence)
    groups = np.arange(count)
    return clustered_interval(float(gain.mean()), influence * count / size, groups)


def _pulled(
    rows: _Rows,
    aimed: Float32,
    values: _Values,
    inverse: Float64,
    start: Bool,
    horizon: int,
    discount: float,
) -> Float64:
    """Return each row's influence on the summed value of the first week's members, [M]."""
    x, found = rows.x, np.zeros(len(rows.x))
    shrunk = np.diag(np.append(0, np.full(x.shape[1] - 1, LEVEL_RIDGE * len(x))))
    level_inverse = np.linalg.pinv(x.T.astype(np.float64) @ x + shrunk)
    weight = start.astype(np.float64)  # of each row's value with h weeks to go in the final sum
    for h in range(horizon, 0, -1):
        by_level = level_inverse @ (x.T.astype(np.float64) @ weight)
        shift = (aimed * weight[:, None].astype(np.float32)).T.astype(np.float64) @ x
        by_effect = (inverse @ shift.ravel()).reshape(shift.shape)
        pull = x @ by_level + np.einsum("mg,mg->m", rows.surprise, x @ by_effect.T)
        if h > 1:  # fitted without the last week, whose rows are in the Gram matrices
            pull = np.where(rows.ends, 0.0, pull * len(x) / max(int((~rows.ends).sum()), 1))
        predicted = _value(x, rows.surprise, values, h)
        found += pull * (_outcome(rows, aimed, values, h, discount) - predicted)
        weight = np.zeros(len(x))
        there = rows.following >= 0
        weight[rows.following[there]] = discount * pull[there]
    return found


def _backtest(
    rows: _Rows, plans: Int64, world: World, logging: _Values, horizon: int, discount: float
) -> list[dict[str, Any]]:
    """Return, for each plan, the observed and the predicted return after it was drawn.

    The return is that of the plan in its first week, followed by the log's own plans.
    """
    horizon = min(horizon, len(plans))
    observed = rows.reward.copy()
    for _ in range(horizon - 1):
        later = np.where(rows.following >= 0, observed[rows.following], 0.0)
        observed = rows.reward + discount * later
    whole = rows.week <= len(plans) - horizon
    predicted = _value(rows.x, rows.surprise, logging, horizon)
    drawn = plans[rows.week, rows.member]
    found = []
    for plan in np.unique(drawn[whole]):
        here = whole & (drawn == plan)
        if here.sum() < _LEAST:
            continue
        error = (observed - predicted)[here]
        groups = cluster_numbers(rows.member[here], len(error))
        interval = clustered_interval(float(error.mean()), error - error.mean(), groups)
        half = (interval.high - interval.low) / 2
        far = float(Z95 * interval.mean / half) if 0 < half < np.inf else 0.0
        found.append(
            {
                "plan": world.plan_names[plan],
                "windows": int(here.sum()),
                "observed": float(observed[here].mean()),
                "predicted": float(predicted[here].mean()),
                "difference": interval,
                "standard_errors": far,
                "distance": abs(far),
            }
        )
    return found
