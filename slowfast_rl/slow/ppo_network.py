"""The planner's network: masked, factored logits over plans, inside Stable-Baselines3's policy."""

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.distributions import CategoricalDistribution
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

from slowfast_rl.members.arrays import Float32, Int64
from slowfast_rl.members.observations import weekly_features
from slowfast_rl.members.world import World
from slowfast_rl.policies.networks import PassThroughMlp
from slowfast_rl.policies.settings import MIN_SCALE

Plans = list[list[int]]  # [O, C] sends a week, as SB3 keeps arguments
_MINUS_INFINITY = -1e9  # as a logit; a true infinity makes entropies NaN


class ObservationExtractor(BaseFeaturesExtractor):
    """Standardises features and appends which plans are feasible, [B, F] to [B, F + O].

    Args:
        observation_space: [F] of the observation.
        centre: [F] subtracted from the features.
        scale: [F] divided by.
        plans: [O, C] targets.
        opt_in_columns: [C] columns of the opt-in flags.
    """

    centre: Tensor
    scale: Tensor
    sends: Tensor

    def __init__(
        self,
        observation_space: spaces.Box,
        centre: Float32,
        scale: Float32,
        plans: Plans,
        opt_in_columns: list[int],
    ) -> None:
        super().__init__(observation_space, features_dim=len(centre) + len(plans))
        self.register_buffer("centre", torch.tensor(centre, dtype=torch.float32))
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float32))
        self.register_buffer("sends", (torch.tensor(plans) > 0).float(), persistent=False)
        self.opt_in_columns = opt_in_columns

    def forward(self, observations: Tensor) -> Tensor:
        """Return standardised features, then 1 for each feasible plan."""
        left = 1 - observations[:, self.opt_in_columns]  # [B, C]
        feasible = (left @ self.sends.T < 0.5).float()
        observations = ((observations - self.centre) / self.scale).clamp(-5, 5)
        return torch.cat([observations, feasible], dim=1)


class PlanLogits(nn.Module):
    """Logits of plans as a sum of one head per channel and one of the pacing shape.

    Infeasible plans get none; the only shape needs no head.
    """

    selector: Tensor

    def __init__(self, hidden: int, plans: Plans, num_shapes: int) -> None:
        super().__init__()
        menu = np.array(plans)
        heads = [menu[:, c] == t for c in range(menu.shape[1]) for t in np.unique(menu[:, c])]
        shapes = np.arange(num_shapes).repeat(len(menu) // num_shapes)  # [O], varies slowest
        heads += [shapes == h for h in range(num_shapes) if num_shapes > 1]
        selector = torch.tensor(np.stack(heads), dtype=torch.float32)  # [sum of menu sizes, O]
        self.hidden = hidden
        self.heads = nn.Linear(hidden, len(selector))
        self.register_buffer("selector", selector, persistent=False)

    def forward(self, latent: Tensor) -> Tensor:
        """Return [B, O] masked logits of a latent that ends with the mask."""
        logits: Tensor = self.heads(latent[:, : self.hidden]) @ self.selector
        return logits.masked_fill(latent[:, self.hidden :] < 0.5, _MINUS_INFINITY)


class PlanDistribution(CategoricalDistribution):
    """A distribution over plans; its mode is the feasible plan nearest to the expected sends.

    The most probable plan of ordinal heads would collapse to few sends. Of that plan's pacing
    shapes it is the most probable one.
    """

    def __init__(self, plans: Plans, num_shapes: int) -> None:
        super().__init__(len(plans))
        self.plans, self.num_shapes = plans, num_shapes

    def proba_distribution_net(self, latent_dim: int) -> nn.Module:
        """Return the layer from the latent, mask included, to logits."""
        return PlanLogits(latent_dim - len(self.plans), self.plans, self.num_shapes)

    def mode(self) -> Tensor:
        """Return the deterministic choice, [B]."""
        probabilities: Tensor = self.distribution.probs
        num_targets = len(self.plans) // self.num_shapes
        by_shape = probabilities.view(-1, self.num_shapes, num_targets)
        targets = probabilities.new_tensor(self.plans[:num_targets])
        nearest = nearest_feasible(by_shape.sum(dim=1), targets)
        shape: Tensor = by_shape[
            torch.arange(len(nearest), device=nearest.device), :, nearest
        ].argmax(dim=1)
        return shape * num_targets + nearest


class PlanPolicy(ActorCriticPolicy):
    """Actor-critic over plans that never gives an infeasible plan a chance.

    Takes ``plans``, the number of their pacing shapes and the nets' width ``hidden`` besides the
    arguments of Stable-Baselines3.
    """

    def __init__(
        self, *args: Any, plans: Plans, num_shapes: int, hidden: int, **kwargs: Any
    ) -> None:
        self._plans, self._num_shapes, self._hidden = plans, num_shapes, hidden
        super().__init__(*args, **kwargs)

    @torch.no_grad()
    def probabilities(self, observations: Float32) -> Float32:
        """Return the probability of every plan for observations [B, F], [B, O]."""
        self.set_training_mode(False)
        distribution: Any = self.get_distribution(
            torch.as_tensor(observations, device=self.device)
        ).distribution
        found: Float32 = distribution.probs.cpu().numpy()
        return found

    @torch.no_grad()
    def modes(self, observations: Float32) -> Int64:
        """Return the deterministic choices at observations [B, F], [B]."""
        self.set_training_mode(False)
        chosen = self.get_distribution(torch.as_tensor(observations, device=self.device)).mode()
        found: Int64 = chosen.cpu().numpy().astype(np.int64)
        return found

    def _build_mlp_extractor(self) -> None:
        num_plans = len(self._plans)
        self.mlp_extractor = PassThroughMlp(self.features_dim - num_plans, num_plans, self._hidden)

    def _build(self, lr_schedule: Any) -> None:
        self.action_dist = PlanDistribution(self._plans, self._num_shapes)
        super()._build(lr_schedule)


def policy_arguments(world: World, observations: Float32, hidden: int) -> dict[str, Any]:
    """Return what :class:`PlanPolicy` needs: the world, and typical observations [B, F]."""
    names = [feature.name for feature in weekly_features(world)]
    plans = world.plans.tolist()
    return {
        "plans": plans,
        "num_shapes": len(world.shape_names),
        "hidden": hidden,
        "features_extractor_class": ObservationExtractor,
        "features_extractor_kwargs": {
            "centre": observations.mean(axis=0),
            "scale": np.maximum(observations.std(axis=0), MIN_SCALE),
            "plans": plans,
            "opt_in_columns": [names.index(f"{channel}_opted_in") for channel in world.channels],
        },
    }


def nearest_feasible(probabilities: Tensor, targets: Tensor) -> Tensor:
    """Return the plan with a chance that is nearest to the expected sends, [B].

    Args:
        probabilities: [B, O], 0 for infeasible plans.
        targets: [O, C] sends a week.
    """
    distance = torch.cdist(
        probabilities @ targets, targets, compute_mode="donot_use_mm_for_euclid_dist"
    )
    return distance.masked_fill(probabilities <= 0, torch.inf).argmin(dim=1)
