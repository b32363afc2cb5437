"""Off-policy evaluation of messages: what another executor would have earned at each opportunity.

A row is one opportunity: hold, or send one of K candidates. What happens at later opportunities is
taken as the log has it: the estimates are about one decision, and not about what it does to fatigue
or goodwill. Plans are for that.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from slowfast_rl.members.arrays import Bool, Float32, Float64, Int64
from slowfast_rl.members.world import World
from slowfast_rl.ope.diagnostics import (
    compare_models,
    diagnose,
    unsupported_mass,
    weight_warnings,
)
from slowfast_rl.ope.estimators import CLIP, READING, Prediction, estimate, importance_weights
from slowfast_rl.ope.message_terms import message_terms
from slowfast_rl.ope.policies import message_probabilities, policy_name
from slowfast_rl.ope.result import OffPolicyResult
from slowfast_rl.ope.reward_model import FOLDS, RIDGE, ActionFeatures, predict_cross_fitted
from slowfast_rl.store import PacingPlan


class Messages(NamedTuple):
    """B opportunities with the probabilities of the executor that was logged."""

    observations: Float32  # [B, F] of ``Messaging-v0``
    members: Int64  # [B] ids
    actions: Int64  # [B] 0 holds, j sends candidate j
    probabilities: Float64  # [B, 1 + K] of all actions, after the guard
    rewards: Float64  # [B] that followed, such as whether the member viewed that day
    plan: PacingPlan | None = None  # [B] in force; None for no plans and no caps
    reward_name: str = "viewed that day"
    # [B] whether the reward was known before the decision, as that of a member who had viewed on
    # that day already: no action changes it, and no model need predict it. None for nowhere.
    known: Bool | None = None

    def evaluate(self, world: World, policy: Any, **settings: Any) -> OffPolicyResult:
        """Evaluate an executor on these opportunities; see :func:`evaluate_messages`."""
        return evaluate_messages(world, self, policy, **settings)


class MessageRows(NamedTuple):
    """B opportunities, reduced to what the evaluation of one policy needs."""

    weights: Float64  # [B]
    propensity: Float64  # [B] of the logged action
    of_target: Float64  # [B] probability of the logged action under the target policy
    unsupported: Float64  # [B] probability of the target on actions of propensity 0
    terms: Float32  # [B, T] of the reward model
    logged: Float32  # [B, G] features of the logged action
    usual: Float32  # [B, G] their mean over the logging policy
    target: Float32  # [B, G] their mean over the target policy
    rewards: Float64  # [B]
    known: Bool  # [B] whether the reward was known before the decision
    members: Int64  # [B] ids
    reward_name: str
    warnings: tuple[str, ...] = ()  # of whoever made the rows

    @classmethod
    def joined(
        cls, parts: Sequence["MessageRows"], warnings: tuple[str, ...] = ()
    ) -> "MessageRows":
        """Return the rows of several parts of a log, with warnings about all of them."""
        columns = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in cls._fields
            if name not in {"reward_name", "warnings"}
        }
        return cls(**columns, reward_name=parts[0].reward_name, warnings=warnings)


def reduce_messages(world: World, log: Messages, policy: Any) -> MessageRows:
    """Return what the evaluation of a policy needs of some opportunities.

    Args:
        world: the world, for the layout of observations.
        log: the opportunities.
        policy: as in :func:`evaluate_messages`.

    Raises:
        ValueError: the probabilities are impossible, or the policy does not know its own.
    """
    target = message_probabilities(world, policy, log.observations, log.plan)
    weights, propensity = importance_weights(log.actions, log.probabilities, target)
    terms, features = message_terms(world, log.observations)
    return MessageRows(
        weights,
        propensity,
        target[np.arange(len(weights)), log.actions],
        unsupported_mass(target, log.probabilities),
        terms,
        *_features(log, features, target),
        np.asarray(log.rewards, np.float64),
        np.zeros(len(weights), np.bool_) if log.known is None else log.known,
        log.members,
        log.reward_name,
    )


def evaluate_messages(
    world: World, log: Messages, policy: Any, *, name: str | None = None, **settings: Any
) -> OffPolicyResult:
    """Return what the log says of another executor.

    Args:
        world: the world, for the layout of observations.
        log: the opportunities.
        policy: an executor that knows its probabilities, an agent with one, or [B, 1 + K]
            probabilities.
        name: name of the policy in the result; None for the policy's own.
        settings: of :func:`evaluate_rows`.

    Raises:
        ValueError: the probabilities are impossible or all 1, the policy does what the log could
            not contain, or it does not know its probabilities.
    """
    rows = reduce_messages(world, log, policy)
    return evaluate_rows(rows, policy_name(policy) if name is None else name, **settings)


def evaluate_rows(
    rows: MessageRows,
    name: str,
    *,
    folds: int = FOLDS,
    ridge: float = RIDGE,
    clip: float = CLIP,
) -> OffPolicyResult:
    """Return what opportunities say of the policy for which they were reduced.

    Args:
        rows: the opportunities.
        name: name of the policy in the result.
        folds: number of parts of the members for cross-fitting the reward model.
        ridge: shrinkage of the reward model's effects.
        clip: largest weight of the clipped estimator.

    Raises:
        ValueError: the probabilities are all 1, or the policy does what the log could not contain.
    """
    found = diagnose(rows.weights, rows.propensity, rows.of_target, rows.members, rows.unsupported)
    prediction = _predict(rows, folds, ridge)
    estimates = estimate(rows.weights, rows.rewards, rows.members, prediction, clip)
    return OffPolicyResult(
        policy=name,
        kind="messages",
        unit=f"{rows.reward_name}, per opportunity",
        logged=float(rows.rewards.mean()),
        estimates={method: estimates[method] for method in READING},
        reading=READING,
        diagnostics=compare_models(found, estimates),
        warnings=[*rows.warnings, *weight_warnings(found)],
        settings={"opportunities": len(rows.rewards), "folds": folds, "clip": clip},
    )


def _predict(rows: MessageRows, folds: int, ridge: float) -> Prediction:
    """Return what a reward model predicts where the reward is not known before the decision."""
    there = np.flatnonzero(~rows.known)
    features = ActionFeatures(rows.logged[there], rows.usual[there], rows.target[there])
    found = predict_cross_fitted(
        rows.terms[there], features, rows.rewards[there], rows.members[there], folds, ridge
    )

    def spread(values: Float64, known: Float64) -> Float64:
        whole = known.copy()
        whole[there] = values
        return whole

    def of_fit(weights: Float64, level: float) -> Float64:
        return spread(np.asarray(found.influence(weights[there], level)), np.zeros(len(weights)))

    assert found.logging is not None
    return Prediction(
        spread(found.target, rows.rewards),
        spread(found.logged, rows.rewards),
        spread(found.logging, rows.rewards),
        of_fit,
    )


def _features(log: Messages, features: Float32, target: Float64) -> ActionFeatures:
    """Return the features of actions; those of holding are 0."""
    logged = features[np.arange(len(features)), np.maximum(log.actions - 1, 0)]
    return ActionFeatures(
        logged * (log.actions > 0)[:, None],
        _mean_features(log.probabilities, features),
        _mean_features(target, features),
    )


def _mean_features(probabilities: Float64, features: Float32) -> Float32:
    """Return the mean features of a policy's sends, [B, G]."""
    found: Float32 = np.einsum("bk,bkg->bg", probabilities[:, 1:].astype(np.float32), features)
    return found
