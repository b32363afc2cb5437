"""The network of stepwise policies: masked logits over holding and candidates, inside SB3's."""

import math
from typing import Any, NamedTuple

import torch
from gymnasium import spaces
from stable_baselines3.common.distributions import CategoricalDistribution
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

from slowfast_rl.fast.prior import Prior, Scale
from slowfast_rl.fast.proposals import propose
from slowfast_rl.members.arrays import Float32
from slowfast_rl.members.world import World
from slowfast_rl.policies.columns import columns
from slowfast_rl.policies.networks import PassThroughMlp

_MINUS_INFINITY = -1e9  # as a logit; a true infinity makes entropies NaN
_MOST_MARGIN = 6.0  # in units of the temperature: leaves a chance of .002 to explore
_MOST_SEND, _LEAST_SHARE = 1 - 1e-6, 1e-6  # probabilities whose logarithms stay finite


class Layout(NamedTuple):
    """Where an observation of ``Messaging-v0`` keeps what the network reads."""

    shared: list[int]  # [S] all but the candidates
    candidates: list[list[int]]  # [K, 2 + D] quality, launch flag, topic
    topics: list[list[int]]  # [D, 4] sends, opens, days since a send, launch


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
    )


class MessageExtractor(BaseFeaturesExtractor):
    """Splits an observation [B, F] into what the nets read.

    Standardised features [S]; then per candidate its own numbers, its topic's and its score
    [K (2 + D + 4 + 1)]; then the candidates' scores in units of the temperature [K], the margin of
    the best one over the least score worth a send in the same unit [1], and the probability that a
    send is considered [1], 0 where the guard forbids one.

    Args:
        observation_space: [F].
        typical: what inputs are standardised with.
        prior: what the policy begins with.
    """

    centre: Tensor
    scale: Tensor
    score_scale: Tensor

    def __init__(self, observation_space: spaces.Box, typical: Scale, prior: Prior) -> None:
        self.layout, self.prior = layout(prior.world), prior
        self.num_candidates = len(self.layout.candidates)
        self.width = len(self.layout.candidates[0]) + len(self.layout.topics[0]) + 1
        self.num_inputs = len(self.layout.shared) + 2
        size = self.num_inputs + self.num_candidates * (self.width + 1) + 2
        super().__init__(observation_space, features_dim=size)
        self.register_buffer("centre", torch.tensor(typical.centre, dtype=torch.float32))
        self.register_buffer("scale", torch.tensor(typical.scale, dtype=torch.float32))
        self.register_buffer("score_scale", torch.tensor([typical.scores], dtype=torch.float32))

    def forward(self, observations: Tensor) -> Tensor:
        """Return features, candidates, scores, margin and probability, [B, ...]."""
        at, inputs = self.layout, ((observations - self.centre) / self.scale).clamp(-5, 5)
        own = observations[:, at.candidates]  # [B, K, 2 + D]
        topics = own[:, :, 2:] @ inputs[:, at.topics]  # [B, K, 4]
        scores, margin, considered = self._proposed(observations)
        relative = (scores - scores.mean(dim=1, keepdim=True)) * self.prior.temperature
        candidates = torch.cat([own, topics, relative[:, :, None]], dim=2).flatten(1)
        parts = [inputs[:, at.shared], margin, considered, candidates, scores, margin, considered]
        return torch.cat(parts, dim=1)

    def _proposed(self, observations: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return scores [B, K] and margin [B, 1] in units of the temperature, and probability."""
        prior = self.prior
        seen = observations.detach().cpu().numpy()
        proposal = propose(prior.world, prior.pacer, prior.ranker, seen)
        considered, least, scores = (torch.as_tensor(part).to(observations) for part in proposal)
        unit = prior.temperature * self.score_scale
        best = scores.max(dim=1).values
        if prior.send_share is None:
            margin = ((best - least) / unit).clamp(-_MOST_MARGIN, _MOST_MARGIN)
        else:
            margin = torch.full_like(best, math.log(prior.send_share / (1 - prior.send_share)))
        return scores / unit, margin[:, None], considered[:, None]


class MessageLogits(nn.Module):
    """Corrects the pacer's margin and the ranker's scores; the corrections are 0 at first.

    The correction of a score is the same function for every candidate.

    Args:
        hidden: width of the latent that the nets read.
        num_candidates: K.
        width: features of a candidate.
        gains: whether what the candidates gain by their corrections counts for sending at all.
            Without a pacer nothing else tells a good moment; with one, the margin holds the best
            score already, and the gain adds noise to it.
    """

    def __init__(self, hidden: int, num_candidates: int, width: int, gains: bool) -> None:
        super().__init__()
        self.gains = gains
        self.sizes = [hidden, num_candidates * width, num_candidates, 1, 1]
        self.num_candidates, self.width = num_candidates, width
        self.context = nn.Linear(hidden, hidden)
        self.candidate = nn.Linear(width, hidden, bias=False)
        self.score = nn.Linear(hidden, 1)
        self.margin = nn.Linear(hidden, 1)

    def begin(self) -> None:
        """Set the corrections to 0: the policy begins as its prior."""
        for layer in (self.score, self.margin):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def corrected(self, latent: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return scores [B, K], margin [B] and the probability that a send is considered [B]."""
        state, flat, scores, margin, considered = torch.split(latent, self.sizes, dim=1)
        candidates = flat.view(-1, self.num_candidates, self.width)
        mixed = torch.relu(self.context(state)[:, None] + self.candidate(candidates))
        corrected = scores + self.score(mixed).squeeze(2)
        margin = (margin + self.margin(state)).squeeze(1)
        if self.gains:
            margin += torch.logsumexp(corrected, dim=1) - torch.logsumexp(scores, dim=1)
        return corrected, margin, considered.squeeze(1)

    def forward(self, latent: Tensor) -> Tensor:
        """Return the logits of holding and of sending each candidate, [B, 1 + K]."""
        scores, margin, considered = self.corrected(latent)
        send = considered * torch.sigmoid(margin)
        hold = torch.log1p(-send.clamp(max=_MOST_SEND))
        log_send = considered.clamp(min=_LEAST_SHARE).log() + nn.functional.logsigmoid(margin)
        sends = log_send[:, None] + torch.log_softmax(scores, dim=1)
        sends = sends.masked_fill(considered[:, None] <= 0, _MINUS_INFINITY)
        return torch.cat([hold[:, None], sends], dim=1)


class MessageDistribution(CategoricalDistribution):
    """A distribution over holding and candidates."""

    def __init__(self, num_candidates: int, width: int, gains: bool) -> None:
        super().__init__(1 + num_candidates)
        self.num_candidates, self.width, self.gains = num_candidates, width, gains

    def proba_distribution_net(self, latent_dim: int) -> nn.Module:
        """Return the layer from the latent to logits."""
        others = self.num_candidates * (self.width + 1) + 2
        hidden = latent_dim - others
        return MessageLogits(hidden, self.num_candidates, self.width, self.gains)


class MessagePolicy(ActorCriticPolicy):
    """Actor-critic over opportunities that gives a forbidden send no probability.

    Takes the nets' width ``hidden`` besides the arguments of Stable-Baselines3.
    """

    features_extractor: MessageExtractor
    action_net: MessageLogits

    def __init__(self, *args: Any, hidden: int, **kwargs: Any) -> None:
        self._hidden = hidden
        super().__init__(*args, **kwargs)

    def corrected(self, observations: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return scores [B, K], margin [B] and the probability that a send is considered [B]."""
        features = super(ActorCriticPolicy, self).extract_features(
            observations, self.features_extractor
        )
        return self.action_net.corrected(self.mlp_extractor.forward_actor(features))

    @torch.no_grad()
    def corrections(self, observations: Float32) -> tuple[Float32, Float32, Float32]:
        """Return :meth:`corrected` of observations [B, F] as arrays."""
        self.set_training_mode(False)
        seen = torch.as_tensor(observations, device=self.device)
        scores, margin, considered = (part.cpu().numpy() for part in self.corrected(seen))
        return scores, margin, considered

    def _build_mlp_extractor(self) -> None:
        extractor = self.features_extractor
        others = self.features_dim - extractor.num_inputs
        self.mlp_extractor = PassThroughMlp(extractor.num_inputs, others, self._hidden)

    def _build(self, lr_schedule: Any) -> None:
        extractor = self.features_extractor
        gains = extractor.prior.send_share is not None  # there is no pacer
        size = extractor.num_candidates, extractor.width
        self.action_dist = MessageDistribution(*size, gains)
        super()._build(lr_schedule)
        self.action_net.begin()


def policy_arguments(prior: Prior, typical: Scale, hidden: int) -> dict[str, Any]:
    """Return what :class:`MessagePolicy` needs: its prior, and what inputs are standardised with.

    Returns:
        keyword arguments as Stable-Baselines3 takes them.
    """
    return {
        "hidden": hidden,
        "features_extractor_class": MessageExtractor,
        "features_extractor_kwargs": {"typical": typical, "prior": prior},
    }
