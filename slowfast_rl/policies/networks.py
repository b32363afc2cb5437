"""What networks of planners and executors share: how inputs are scaled, and the two nets."""

import torch
from stable_baselines3.common.torch_layers import MlpExtractor
from torch import Tensor, nn

#: Least standard deviation that inputs are divided by: avoids dividing by a near-zero one.
MIN_SCALE = 0.01


class PassThroughMlp(MlpExtractor):
    """Separate nets for policy and value; what the policy's head needs besides is passed through.

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
        """Return the policy's latent and what is passed through, [B, hidden + num_others]."""
        inputs, others = features[:, : self.num_inputs], features[:, self.num_inputs :]
        return torch.cat([self.policy_net(inputs), others], dim=1)

    def forward_critic(self, features: Tensor) -> Tensor:
        """Return the value's latent, [B, hidden]."""
        value: Tensor = self.value_net(features[:, : self.num_inputs])
        return value
