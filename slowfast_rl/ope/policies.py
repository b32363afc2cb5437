"""The policies that are evaluated, as probabilities of plans and of messages."""

from typing import Any

import numpy as np

from slowfast_rl.members.arrays import Float32, Float64
from slowfast_rl.members.world import World
from slowfast_rl.policies.contracts import BasePlanner, PlanRequest
from slowfast_rl.policies.plan_exchange import choose_plans
from slowfast_rl.slow.simple import FeasibleIndex
from slowfast_rl.store import PacingPlan


def policy_name(policy: Any) -> str:
    """Return a policy's name; probabilities have none."""
    return str(getattr(policy, "name", None) or "probabilities")


def plan_probabilities(world: World, policy: Any, request: PlanRequest) -> Float64:
    """Return the probabilities with which a policy chooses plans, [B, O].

    Args:
        world: the world, for its menu.
        policy: a planner, an agent with one as ``slow``, or the probabilities themselves. Where a
            member has left a channel, a planner's plan has target 0 on it, as when it is executed.
        request: what the planner is asked.

    Raises:
        ValueError: the policy is none of these, is privileged, or needs beliefs that the request
            does not have; or the probabilities have another shape.
    """
    shape = request.feasible.shape
    if isinstance(policy, np.ndarray):
        if policy.shape != shape:
            raise ValueError(f"the policy has shape {policy.shape}; allowed is {shape}")
        return policy.astype(np.float64)
    planner: BasePlanner | None = getattr(policy, "slow", policy)
    if planner is None or not callable(getattr(planner, "plan", None)):
        raise ValueError(
            f"the policy is {policy!r}; allowed are a planner, an agent with one, and an array of "
            f"probabilities of shape {shape}"
        )
    if planner.privileged:
        raise ValueError(f"planner {planner.name} is privileged; no log holds what it observes")
    if planner.belief_filter is not None and request.beliefs is None:
        raise ValueError(
            f"planner {planner.name} needs beliefs, which this log does not have; allowed is a log "
            "whose beliefs are not None"
        )
    plans = FeasibleIndex(world)(choose_plans(planner, request), request.feasible)
    chosen = np.zeros(shape)
    chosen[np.arange(len(plans)), plans] = 1
    return chosen


def message_probabilities(
    world: World, policy: Any, observations: Float32, plan: PacingPlan | None
) -> Float64:
    """Return the probabilities of holding and of sending each candidate, [B, 1 + K].

    Args:
        world: the world, for the layout of observations.
        policy: an executor, an agent with one as ``executor``, or the probabilities themselves.
        observations: [B, F] observations of ``Messaging-v0``.
        plan: the plans in force, [B]; None for no plans and no caps.

    Raises:
        ValueError: the policy is none of these, or does not know its probabilities; or they have
            another shape.
    """
    shape = len(observations), 1 + world.num_candidates
    if isinstance(policy, np.ndarray):
        if policy.shape != shape:
            raise ValueError(f"the policy has shape {policy.shape}; allowed is {shape}")
        return policy.astype(np.float64)
    executor = policy
    if not callable(getattr(executor, "action_probabilities", None)):  # an agent
        executor = getattr(policy, "executor", policy)
    ask = getattr(executor, "action_probabilities", None)
    if not callable(ask):
        raise ValueError(
            f"the policy is {policy!r}; allowed are an executor, an agent with one, and an array "
            f"of probabilities of shape {shape}"
        )
    found = ask(world, observations, plan)
    if found is None:
        raise ValueError(
            f"{policy_name(executor)} does not know the probabilities of its actions; allowed is "
            "an executor that returns action_probabilities"
        )
    return np.asarray(found, np.float64)
