"""What the networks of planners and executors share."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
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
        super().__init__(num_inputs, layers, nn.ReLU, device=torch.get_default_device())
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
    seed: int | None,
    arguments: Mapping[str, Any],
) -> P:
    """Return a new network; the caller's random numbers stay as they are.

    Args:
        kind: its class.
        bounds: least and greatest observation, [2, F].
        num_actions: that it chooses among.
        settings: of the planner or executor, for learning rate and device.
        seed: of the weights; None for a network without memory, which only has their shapes.
        arguments: what the class takes besides Stable-Baselines3's own arguments.
    """
    place = nullcontext() if seed is not None else torch.device("meta")
    with torch.random.fork_rng(devices=[]), place:
        if seed is not None:
            torch.manual_seed(seed)
        policy = kind(
            spaces.Box(*bounds, dtype=np.float32),
            spaces.Discrete(num_actions),
            lambda _: float(settings.learning_rate),
            **arguments,
        )
    return policy if seed is None else policy.to(get_device(settings.device))


def copy_buffers(network: nn.Module, source: nn.Module) -> None:
    """Give a network the buffers of another of its kind: what inputs are standardised with."""
    buffers = dict(source.named_buffers())
    for name, buffer in network.named_buffers():
        buffer.copy_(buffers[name])


def weights_of(network: nn.Module) -> dict[str, Any]:
    """Return a copy of a network's arrays by name."""
    return {name: array.cpu().numpy().copy() for name, array in network.state_dict().items()}


def rebuilt(make: Callable[[int | None], P], arrays: Mapping[str, Any]) -> P:
    """Return a network with given arrays, for which no memory is taken before they are checked.

    Args:
        make: returns a new network, given its seed as :func:`new_policy` takes it.
        arrays: the arrays by name.

    Raises:
        ValueError: the arrays are not those of such a network.
    """
    check_weights(arrays, make(None).state_dict())
    network = make(0)
    network.load_state_dict({name: torch.as_tensor(array) for name, array in arrays.items()})
    return network
