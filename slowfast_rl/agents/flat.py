"""Flat PPO: one policy at every opportunity, no planner, nothing to begin with."""

from slowfast_rl.agents.single import SinglePolicyAgent
from slowfast_rl.fast.ppo import PPOExecutor
from slowfast_rl.policies.contracts import BaseExecutor


class FlatPPOAgent(SinglePolicyAgent):
    """Stable-Baselines3 PPO on ``Messaging-v0`` without a planner, the single-level alternative.

    Discounts by .98 a week, .98^(1/slots) an opportunity, as the two-level agent does.

    Args:
        fast: what learns; PPO without plans and without a ranker by default.
        name: what leaderboards call the agent.

    Raises:
        ValueError: the policy reads plans.
    """

    kind = "flat_ppo"
    name = "flat_ppo"

    def __init__(self, fast: BaseExecutor | None = None, name: str | None = None) -> None:
        super().__init__(PPOExecutor(planned=False) if fast is None else fast, name or self.name)
        if self.fast.planned:
            raise ValueError("fast reads plans; allowed is an executor with planned=False")
