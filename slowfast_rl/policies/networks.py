"""What the networks of planners and executors share."""

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import MlpExtractor
from stable_baselines3.common.utils import get_device
from torch import Tensor, nn

from slowfast_rl.members.arrays import Float32
from slowfast_rl.policies.weights import check_weights

P = TypeVar("P", bound=ActorCriticPolicy)


class PassThroughMlp(MlpExtractor):
    """Separate nets for policy and value, with columns that bypass the policy's net.

    Args:
        num_inputs: columns at the beginning that the nets read.
        num_others: columns after them that are appended to the policy's latent.
        hidden: width of both layers of each net.
    """

    def __init__(self, num_inputs: int, num_others: int, hidden: int) -> None:
        layers = {"pi": [hidden, hidden], "vf": [hidden, hidden]}
        super().__init__(num_inputs, layers, nn.ReLU)
        self.num_inputs = num_inputs
        self.latent_dim_pi = hidden + num_others

    def forward_actor(self, features: Tensor) -> Tensor:
        """Return the policy's latent and the columns that bypass it, [B, hidden + num_others]."""
        inputs, others = features[:, : self.num_inputs], features[:, self.num_inputs :]
        return torch.cat([self.policy_net(inputs), others], dim=1)

    def forward_critic(self, features: Tensor) -> Tensor:
        """Return the value's latent, [B, hidden]."""
        value: Tensor = self.value_net(features[:, : self.num_inputs])
        return value


def new_policy(
    kind: type[P],
    bounds: Float32,
    num_actions: int,
    settings: Any,
    seed: int,
    arguments: Mapping[str, Any],
) -> P:
    """Return a new network; the caller's random numbers stay as they are.

    Args:
        kind: its class.
        bounds: least and greatest observation, [2, F].
        num_actions: that it chooses among.
        settings: of the planner or executor, for learning rate and device.
        seed: of the weights.
        arguments: what the class takes besides Stable-Baselines3's own arguments.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        policy = kind(
            spaces.Box(*bounds, dtype=np.float32),
            spaces.Discrete(num_actions),
            lambda _: float(settings.learning_rate),
            **arguments,
        )
    return policy.to(get_device(settings.device))


def copy_buffers(network: nn.Module, source: nn.Module) -> None:
    """Give a network the buffers of another of its kind: what inputs are standardised with."""
    buffers = dict(source.named_buffers())
    for name, buffer in network.named_buffers():
        buffer.copy_(buffers[name])


def weights_of(network: nn.Module) -> dict[str, Any]:
    """Return a copy of a network's arrays by name."""
    return {name: array.cpu().numpy().copy() for name, array in network.state_dict().items()}


def load_weights(network: nn.Module, arrays: Mapping[str, Any]) -> None:
    """Give a network its arrays by name.

    Raises:
        ValueError: the arrays are not those of such a network.
    """
    check_weights(arrays, network.state_dict())
    network.load_state_dict({name: torch.as_tensor(array) for name, array in arrays.items()})
