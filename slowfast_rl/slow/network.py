"""The planner's network: masked, factored logits over plans, inside Stable-Baselines3's policy."""

from typing import Any

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import PyTorchObs
from torch import Tensor, nn

from slowfast_rl.members.arrays import Float32

_MINUS_INFINITY = -1e9  # as a logit; a true infinity makes entropies NaN


class SignalExtractor(BaseFeaturesExtractor):
    """Standardises signals and appends which plans are feasible, [B, F] to [B, F + O].

    Args:
        observation_space: [F] signals.
        centre: [F] subtracted from the signals.
        scale: [F] divided by.
        plans: [O, C] targets.
        opt_in_columns: [C] columns of the opt-in flags.
    """

    def __init__(
        self,
        observation_space: Any,
        centre: Float32,
        scale: Float32,
        plans: list[list[int]],
        opt_in_columns: list[int],
    ) -> None:
        super().__init__(observation_space, features_dim=len(centre) + len(plans))
        self.register_buffer("centre", torch.as_tensor(np.asarray(centre, np.float32)))
        self.register_buffer("scale", torch.as_tensor(np.asarray(scale, np.float32)))
        self.register_buffer("sends", torch.as_tensor(np.array(plans) > 0).float())
        self.opt_in_columns = opt_in_columns

    def forward(self, observations: Tensor) -> Tensor:
        """Return standardised signals, then 1 for each feasible plan."""
        left = 1 - observations[:, self.opt_in_columns]  # [B, C]
        feasible = (left @ self.sends.T < 0.5).float()  # type: ignore[operator]
        signals = ((observations - self.centre) / self.scale).clamp(-5, 5)  # type: ignore[operator]
        return torch.cat([signals, feasible], dim=1)


class SignalMlp(nn.Module):
    """Separate nets for policy and value; the policy's output keeps the mask at its end."""

    def __init__(self, num_signals: int, num_plans: int, hidden: int) -> None:
        super().__init__()
        self.num_signals = num_signals
        self.policy, self.value = (
            nn.Sequential(
                nn.Linear(num_signals, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()
            )
            for _ in range(2)
        )
        self.latent_dim_pi, self.latent_dim_vf = hidden + num_plans, hidden

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the latents of policy and value."""
        return self.forward_actor(features), self.forward_critic(features)

    def forward_actor(self, features: Tensor) -> Tensor:
        """Return [B, hidden + O]: the policy's latent and the mask."""
        signals, feasible = features[:, : self.num_signals], features[:, self.num_signals :]
        return torch.cat([self.policy(signals), feasible], dim=1)

    def forward_critic(self, features: Tensor) -> Tensor:
        """Return [B, hidden]: the value's latent."""
        value: Tensor = self.value(features[:, : self.num_signals])
        return value


class PlanLogits(nn.Module):
    """Logits of plans as a sum of one head per channel; infeasible plans get none."""

    def __init__(self, hidden: int, plans: list[list[int]]) -> None:
        super().__init__()
        menu = np.array(plans)
        targets = [np.unique(menu[:, c]) for c in range(menu.shape[1])]
        chosen = [np.searchsorted(t, menu[:, c]) for c, t in enumerate(targets)]
        selector = np.concatenate(
            [np.eye(len(t))[:, index] for t, index in zip(targets, chosen, strict=True)]
        )  # [sum of menu sizes, O]
        self.hidden = hidden
        self.heads = nn.Linear(hidden, len(selector))
        nn.init.orthogonal_(self.heads.weight, 0.01)
        nn.init.zeros_(self.heads.bias)
        self.register_buffer("selector", torch.as_tensor(selector, dtype=torch.float32))

    def forward(self, latent: Tensor) -> Tensor:
        """Return [B, O] masked logits of a latent that ends with the mask."""
        logits: Tensor = self.heads(latent[:, : self.hidden]) @ self.selector  # type: ignore[operator]
        return logits.masked_fill(latent[:, self.hidden :] < 0.5, _MINUS_INFINITY)


class PlanPolicy(ActorCriticPolicy):
    """Actor-critic over plans that never gives an infeasible plan a chance.

    Its deterministic choice is the feasible plan nearest to the expected sends: the argmax of
    ordinal heads would collapse to few sends.
    """

    def __init__(
        self, *args: Any, plans: list[list[int]], hidden: int = 128, **kwargs: Any
    ) -> None:
        self._plans, self._hidden = plans, hidden
        super().__init__(*args, **kwargs)

    def _build_mlp_extractor(self) -> None:
        num_plans = len(self._plans)
        self.mlp_extractor = SignalMlp(  # type: ignore[assignment]
            self.features_dim - num_plans, num_plans, self._hidden
        )

    def _build(self, lr_schedule: Any) -> None:
        super()._build(lr_schedule)
        self.action_net = PlanLogits(self._hidden, self._plans)
        self.register_buffer("targets", torch.tensor(self._plans, dtype=torch.float32))
        self.optimizer = self.optimizer_class(
            self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs
        )

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> Tensor:
        distribution = self.get_distribution(observation)
        if not deterministic:
            return distribution.get_actions()
        probabilities: Tensor = distribution.distribution.probs  # type: ignore[attr-defined]
        return nearest_feasible(probabilities, self.targets)  # type: ignore[arg-type]


def nearest_feasible(probabilities: Tensor, targets: Tensor) -> Tensor:
    """Return the plan with a chance that is nearest to the expected sends, [B].

    Args:
        probabilities: [B, O], 0 for infeasible plans.
        targets: [O, C] sends a week.
    """
    expected = probabilities @ targets  # [B, C]
    distance = ((expected[:, None] - targets[None]) ** 2).sum(dim=2)
    return distance.masked_fill(probabilities <= 0, torch.inf).argmin(dim=1)
