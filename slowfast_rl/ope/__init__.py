"""Off-policy evaluation: what another policy would have earned, from a log alone."""

from collections.abc import Callable
from typing import Any

from slowfast_rl.members.world import World
from slowfast_rl.ope.diagnostics import Diagnostics
from slowfast_rl.ope.estimators import Estimate, estimate, importance_weights, predict
from slowfast_rl.ope.messages import Messages, evaluate_messages
from slowfast_rl.ope.plans import HeldPlans, evaluate_plans
from slowfast_rl.ope.result import OffPolicyResult
from slowfast_rl.ope.weekly import WeeklyPlans, evaluate_weekly_plans

__all__ = [
    "Diagnostics",
    "Estimate",
    "HeldPlans",
    "Messages",
    "OffPolicyResult",
    "WeeklyPlans",
    "estimate",
    "evaluate",
    "evaluate_messages",
    "evaluate_plans",
    "evaluate_weekly_plans",
    "importance_weights",
    "predict",
]


def evaluate(
    log: Any,
    policy: Any,
    *,
    what: str = "plans",
    horizon: int | None = None,
    world: World | None = None,
    progress: Callable[[float], object] | None = None,
    **settings: Any,
) -> OffPolicyResult:
    """Return what a log says of a policy that it did not follow.

    Args:
        log: a log of ``sf.logs.read``, or arrays: :class:`HeldPlans`, :class:`WeeklyPlans` or
            :class:`Messages`.
        policy: an agent, a planner, an executor, or an array of probabilities.
        what: what is evaluated on a log of ``sf.logs.read``: "plans" that are held for the horizon,
            "weekly" plans, or "messages".
        horizon: number of weeks over which plans are evaluated; None for 4 weeks of held plans and
            8 of weekly plans. :class:`HeldPlans` has one of its own, and messages have none.
        world: the world; None for that of the log or of the policy.
        progress: function that is called with the share of a log that has been read, 0 to 1.
        settings: of :func:`evaluate_plans`, :func:`evaluate_weekly_plans` or
            :func:`evaluate_messages`; ``reward`` and ``most_rows`` of messages.

    Raises:
        ValueError: the log cannot answer, or an argument is not allowed.
    """
    from slowfast_rl.ope.logged import evaluate_log, log_world

    arrays = callable(getattr(log, "evaluate", None))
    if not arrays and not hasattr(log, "part_names"):
        raise ValueError(
            f"the log is {log!r}; allowed are a log of sf.logs.read, HeldPlans, WeeklyPlans and "
            "Messages"
        )
    found = log_world(log, policy, world)
    if horizon is not None:
        if horizon < 1:
            raise ValueError(f"horizon is {horizon}; allowed is 1 or more")
        settings["horizon"] = horizon
    if arrays:
        result: OffPolicyResult = log.evaluate(found, policy, **settings)
        return result
    return evaluate_log(log, policy, what, found, progress=progress, **settings)
