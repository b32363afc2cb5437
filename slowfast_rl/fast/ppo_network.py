"""The network of stepwise policies: masked logits over holding and candidates, inside SB3's."""

from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.distributions import CategoricalDistribution
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

from slowfast_rl.fast.decide import observed_effects
from slowfast_rl.members.arrays import Float32
from slowfast_rl.members.world import World
from slowfast_rl.policies.columns import columns
from slowfast_rl.policies.networks import MIN_SCALE, PassThroughMlp

_MINUS_INFINITY = -1e9  # as a logit; a true infinity makes entropies NaN
_SHARES = (0.02, 0.99)  # of sends in the prior: it always leaves something to explore
_SHARPNESS = 8.0  # of the prior over candidates, per unit of log effect
_LEAST_EFFECT = 1e-4  # a difference in probability


class Layout(NamedTuple):
    """Where an observation of ``Messaging-v0`` keeps what the network reads."""

    shared: list[int]  # [S] all but the candidates
    candidates: list[list[int]]  # [K, 2 + D] quality, launch flag, topic
    topics: list[list[int]]  # [D, 4] sends, opens, days since a send, launch
    slot_is: list[int]  # [C]
    opted_in: list[int]  # [C]
    left: list[int]  # [C] of the plan
    has_plan: int
    slots_left: int


def layout(world: World) -> Layout:
    """Return where an observation keeps what the network reads."""
    column = columns(world)
    candidates = [
        [column[f"candidate_{j}_{what}"] for what in ("quality", "launch_flag")]
        + [column[f"candidate_{j}_is_topic_{d}"] for d in range(world.num_topics)]
        for j in range(1, world.num_candidates + 1)
    ]
    taken = {k for row in candidates for k in row}
    parts = ("sends", "opens", "days_since_send", "launch")
    return Layout(
        shared=[k for k in range(len(column)) if k not in taken],
        candidates=candidates,
        topics=[[column[f"topic_{d}_{p}"] for p in parts] for d in range(world.num_topics)],
        slot_is=[column[f"slot_is_{c}"] for c in world.channels],
        opted_in=[column[f"{c}_opted_in"] for c in world.channels],
        left=[column[f"{c}_plan_left"] for c in world.channels],
        has_plan=column["has_plan"],
        slots_left=column["slots_left"],
    )


class Prior(NamedTuple):
    """What a policy knows before it learns; nothing but a send rate without a ranker."""

    world: World
    ranking: Float32 | None  # [W] the uplift ranker's weights
    send_share: float  # of opportunities without a plan


class MessageExtractor(BaseFeaturesExtractor):
    """Splits an observation [B, F] into what the nets read.

    Standardised features [S], then per candidate its own numbers, its topic's and its predicted
    effect [K (2 + D + 4 + 1)], then prior logits [1 + K], then whether a send is allowed [1].

    Args:
        observation_space: [F].
        centre: [F] subtracted from the features.
        scale: [F] divided by.
        prior: what the policy begins with.
    """

    centre: Tensor
    scale: Tensor

    def __init__(
        self, observation_space: spaces.Box, centre: Float32, scale: Float32, prior: Prior
    ) -> None:
        self.layout, self.prior = layout(prior.world), prior
        self.num_candidates = len(self.layout.candidates)
        self.width = len(self.layout.candidates[0]) + len(self.layout.topics[0]) + 1
        self.num_signals = len(self.layout.shared)
        size = self.num_signals + self.num_candidates * (self.width + 1) + 2
        super().__init__(observation_space, features_dim=size)
        self.register_buffer("centre", torch.tensor(centre, dtype=torch.float32))
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float32))

    def forward(self, observations: Tensor) -> Tensor:
        """Return features, candidates, prior logits and the permission to send, [B, ...]."""
        at, inputs = self.layout, ((observations - self.centre) / self.scale).clamp(-5, 5)
        own = observations[:, at.candidates]  # [B, K, 2 + D]
        topics = own[:, :, 2:] @ inputs[:, at.topics]  # [B, K, 4]
        effects = self._effects(observations)  # [B, K], log
        candidates = torch.cat([own, topics, effects[:, :, None]], dim=2).flatten(1)
        here = observations[:, at.slot_is]
        left = (here * observations[:, at.left]).sum(dim=1)
        planned = observations[:, at.has_plan] > 0.5
        may = (here * observations[:, at.opted_in]).sum(dim=1) > 0.5
        may &= ~planned | (left > 0.5)
        slots = observations[:, at.slots_left].clamp(min=1)
        share = torch.where(planned, left / slots, self.prior.send_share).clamp(*_SHARES)
        ranked = torch.log_softmax(_SHARPNESS * effects, dim=1) + share.log()[:, None]
        hold = (1 - share).log()[:, None]
        parts = [inputs[:, at.shared], candidates, hold, ranked, may.float()[:, None]]
        return torch.cat(parts, dim=1)

    def _effects(self, observations: Tensor) -> Tensor:
        """Return the log of each candidate's predicted effect, [B, K]; 0 without a ranker."""
        if self.prior.ranking is None:
            return observations.new_zeros((len(observations), self.num_candidates))
        effects = observed_effects(
            self.prior.world, self.prior.ranking, observations.detach().cpu().numpy()
        )
        return torch.as_tensor(np.log(effects + _LEAST_EFFECT), device=observations.device)


class MessageLogits(nn.Module):
    """Prior logits plus a correction, the same function for every candidate, 0 at first."""

    def __init__(self, hidden: int, num_candidates: int, width: int) -> None:
        super().__init__()
        self.sizes = [hidden, num_candidates * width, 1 + num_candidates, 1]
        self.num_candidates, self.width = num_candidates, width
        self.context = nn.Linear(hidden, hidden)
        self.candidate = nn.Linear(width, hidden, bias=False)
        self.score = nn.Linear(hidden, 1)
        self.hold = nn.Linear(hidden, 1)

    def begin(self) -> None:
        """Set the correction to 0: the policy begins as its prior."""
        for layer in (self.score, self.hold):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, latent: Tensor) -> Tensor:
        """Return masked logits [B, 1 + K]."""
        state, flat, prior, may = torch.split(latent, self.sizes, dim=1)
        candidates = flat.view(-1, self.num_candidates, self.width)
        mixed = torch.relu(self.context(state)[:, None] + self.candidate(candidates))
        correction = torch.cat([self.hold(state), self.score(mixed).squeeze(2)], dim=1)
        allowed = torch.cat([torch.ones_like(may), may.expand(-1, self.num_candidates)], dim=1)
        logits: Tensor = prior + correction
        return logits.masked_fill(allowed < 0.5, _MINUS_INFINITY)


class MessageDistribution(CategoricalDistribution):
    """A distribution over holding and candidates."""

    def __init__(self, num_candidates: int, width: int) -> None:
        super().__init__(1 + num_candidates)
        self.num_candidates, self.width = num_candidates, width

    def proba_distribution_net(self, latent_dim: int) -> nn.Module:
        """Return the layer from the latent to logits."""
        others = self.num_candidates * (self.width + 1) + 2
        return MessageLogits(latent_dim - others, self.num_candidates, self.width)


class MessagePolicy(ActorCriticPolicy):
    """Actor-critic over opportunities that gives a forbidden send no probability.

    Takes the nets' width ``hidden`` besides the arguments of Stable-Baselines3.
    """

    features_extractor: MessageExtractor

    def __init__(self, *args: Any, hidden: int, **kwargs: Any) -> None:
        self._hidden = hidden
        super().__init__(*args, **kwargs)

    def _build_mlp_extractor(self) -> None:
        extractor = self.features_extractor
        others = self.features_dim - extractor.num_signals
        self.mlp_extractor = PassThroughMlp(extractor.num_signals, others, self._hidden)

    def _build(self, lr_schedule: Any) -> None:
        extractor = self.features_extractor
        self.action_dist = MessageDistribution(extractor.num_candidates, extractor.width)
        super()._build(lr_schedule)
        assert isinstance(self.action_net, MessageLogits)
        self.action_net.begin()


def policy_arguments(prior: Prior, observations: Float32, hidden: int) -> dict[str, Any]:
    """Return what :class:`MessagePolicy` needs: its prior, and typical observations [B, F].

    Returns:
        keyword arguments as Stable-Baselines3 takes them.
    """
    return {
        "hidden": hidden,
        "features_extractor_class": MessageExtractor,
        "features_extractor_kwargs": {
            "centre": observations.mean(axis=0),
            "scale": np.maximum(observations.std(axis=0), MIN_SCALE),
            "prior": prior,
        },
    }
