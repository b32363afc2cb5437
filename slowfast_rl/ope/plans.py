"""Off-policy evaluation of plans that are drawn once and held for the horizon.

A window is a member whose plan was drawn in some week with a known probability and then held. The
target policy draws another plan in that week, which is held as long. There is one decision per
window, so that weights stay bounded whatever the horizon. What it answers is about held plans: a
policy that plans anew every week gains more (``experiments/off_policy`` measures how much).
"""

from typing import Any, NamedTuple

import numpy as np

from slowfast_rl.members.arrays import Bool, Float32, Float64, Int64
from slowfast_rl.members.features import weekly_features
from slowfast_rl.members.state import Week
from slowfast_rl.members.world import World
from slowfast_rl.ope.diagnostics import (
    compare_models,
    diagnose,
    unsupported_mass,
    weight_warnings,
)
from slowfast_rl.ope.estimators import CLIP, READING, estimate, importance_weights
from slowfast_rl.ope.policies import plan_probabilities, policy_name
from slowfast_rl.ope.result import OffPolicyResult
from slowfast_rl.ope.reward_model import (
    FOLDS,
    RIDGE,
    ActionFeatures,
    possible_plans,
    predict_cross_fitted,
    usual_features,
)
from slowfast_rl.policies.contracts import PlanRequest
from slowfast_rl.slow.effects import centre_and_scale, plan_features, standardised
from slowfast_rl.slow.plan_effect_features import observation_terms
from slowfast_rl.slow.plan_logs import outcome_names, simulated_outcomes
from slowfast_rl.slow.plan_logs import outcome_weights as known_weights


class HeldPlans(NamedTuple):
    """B windows, in each of which a member held one plan that was drawn with a known probability.

    ``observations``, ``feasible`` and ``beliefs`` are as of the Monday of the draw, ``outcomes``
    are discounted sums over the weeks of the window, counted from the draw.
    """

    observations: Float32  # [B, F_week]
    feasible: Bool  # [B, O] plans that could be drawn
    members: Int64  # [B] ids
    weeks: Int64  # [B] week of the draw
    plans: Int64  # [B] plans that were drawn
    propensity: Float64  # [B] probability of that plan, or [B, O] of all plans
    outcomes: Float32  # [B, M] of :func:`outcome_columns`
    horizon: int  # weeks over which outcomes are summed
    held: Int64 | None = None  # [B] weeks for which the plan was held; None for the horizon
    beliefs: Float32 | None = None  # [B, F_belief], for policies that need them
    warnings: tuple[str, ...] = ()  # of whoever made the windows

    @property
    def request(self) -> PlanRequest:
        """What a planner is asked in these windows."""
        return PlanRequest(self.observations, self.feasible, self.members, self.weeks, self.beliefs)

    def evaluate(self, world: World, policy: Any, **settings: Any) -> OffPolicyResult:
        """Evaluate a policy on these windows; see :func:`evaluate_plans`."""
        return evaluate_plans(world, self, policy, **settings)


def outcome_columns(world: World) -> tuple[str, ...]:
    """Return the logged outcomes of a window: those of the utility planner's logs, then sends."""
    return (*outcome_names(world), "sends")


def outcome_weights(world: World) -> Float64:
    """Return the weights of the world's reward for logged outcomes, [M].

    The world's reward counts the opens that a message caused; a log shows all opens, which get the
    same weight here.
    """
    return np.append(known_weights(world), -world.reward.message_cost)


def week_outcomes(week: Week) -> Float32:
    """Return a simulated week's logged outcomes in the order of :func:`outcome_columns`, [N, M]."""
    return np.column_stack([simulated_outcomes(week), week.sends.sum(axis=1)])


def evaluate_plans(
    world: World,
    log: HeldPlans,
    policy: Any,
    *,
    name: str | None = None,
    folds: int = FOLDS,
    ridge: float = RIDGE,
    clip: float = CLIP,
) -> OffPolicyResult:
    """Return what the log says of a policy whose plans are held for the horizon.

    Args:
        world: the world, for its menu, its reward and the layout of observations.
        log: the windows.
        policy: a planner, an agent with one, or [B, O] probabilities of its plans.
        name: name of the policy in the result; None for the policy's own.
        folds: number of parts of the members for cross-fitting the reward model.
        ridge: shrinkage of the reward model's effects.
        clip: largest weight of the clipped estimator.

    Raises:
        ValueError: the arrays do not fit each other or the world, the propensities are impossible
            or all 1, the policy chooses what the log could not contain, it needs what the log does
            not have, or a setting is not allowed.
    """
    _check(world, log)
    target = plan_probabilities(world, policy, log.request)
    rewards = log.outcomes.astype(np.float64) @ outcome_weights(world)
    weights, propensity = importance_weights(log.plans, log.propensity, target)
    rows = np.arange(len(weights))
    possible = possible_plans(log.plans, log.feasible, log.propensity)
    missing = unsupported_mass(target, possible)
    found = diagnose(weights, propensity, target[rows, log.plans], log.members, missing)
    terms, features = observation_terms(world, log.observations), plan_features(world)
    x = standardised(*centre_and_scale(terms), terms)
    means = ActionFeatures(
        features[log.plans],
        usual_features(features, log.plans, log.feasible, log.propensity, x),
        target.astype(np.float32) @ features,
    )
    prediction = predict_cross_fitted(terms, means, rewards, log.members, folds, ridge)
    estimates = estimate(weights, rewards, log.members, prediction, clip)
    return OffPolicyResult(
        policy=policy_name(policy) if name is None else name,
        kind="plans held for the horizon",
        unit="discounted viewing days",
        logged=float(rewards.mean()),
        estimates={method: estimates[method] for method in READING},
        reading=READING,
        diagnostics=compare_models(found, estimates),
        warnings=[*log.warnings, *weight_warnings(found), *_hold_warnings(log)],
        settings={"horizon": log.horizon, "folds": folds, "clip": clip},
    )


def _check(world: World, log: HeldPlans) -> None:
    """Check that all arrays have a row for each window, and columns of this world."""
    rows = len(log.plans)
    for name, part in log._asdict().items():
        if isinstance(part, np.ndarray) and len(part) != rows:
            raise ValueError(f"{name} has {len(part)} rows; allowed is {rows}, as plans has")
    columns = {
        "observations": len(weekly_features(world)),
        "feasible": len(world.plans),
        "outcomes": len(outcome_columns(world)),
    }
    for name, wanted in columns.items():
        shape = getattr(log, name).shape
        if shape != (rows, wanted):
            raise ValueError(
                f"{name} has shape {shape}; allowed is ({rows}, {wanted}) in world {world.name}"
            )


def _hold_warnings(log: HeldPlans) -> list[str]:
    if log.held is None or (log.held >= log.horizon).all():
        return []
    short = float((log.held < log.horizon).mean())
    return [
        f"the horizon of {log.horizon} weeks is longer than the plan was held in "
        f"{100 * short:.0f} % of the windows, for {int(log.held.min())} weeks at least: the "
        "estimates are about the first plan, followed by what the log did then"
    ]
