"""Parts that the networks of planners and executors share."""

import torch
from stable_baselines3.common.torch_layers import MlpExtractor
from torch import Tensor, nn

#: Inputs are divided by their standard deviation, or by this number if that is smaller.
MIN_SCALE = 0.01


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
