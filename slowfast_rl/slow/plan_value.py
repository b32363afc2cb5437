"""The value of each plan for a member: an ensemble of pairs of nets with a product as output."""

from collections.abc import Sequence
from copy import copy
from math import isfinite
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from slowfast_rl.members.arrays import Float32, Int64
from slowfast_rl.members.world import World
from slowfast_rl.policies.component import LossNotFiniteError
from slowfast_rl.policies.settings import MIN_SCALE

_FAR = 5.0  # standard deviations beyond which a feature is clipped
_CHUNK = 2048  # rows at a time, so that activations fit the cache
_LEAST = 16  # rows, because products of fewer may take another kernel and round differently


class PlanValue(nn.Module):
    """Q(observation, plan) = f(observation) · g(plan), with E pairs of nets f and g.

    Args:
        plans: [O, P] features of plans.
        num_inputs: F, the number of inputs of the nets.
        ensemble: E, the number of pairs of nets, whose values are averaged.
        hidden: width of the nets.
        rank: length of the vectors f and g.
        generator: generator of the initial weights; None on a device without memory.
    """

    centre: Tensor
    scale: Tensor
    plans: Tensor

    def __init__(
        self,
        plans: Tensor,
        num_inputs: int,
        ensemble: int,
        hidden: int,
        rank: int,
        generator: torch.Generator | None,
    ) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(num_inputs))
        self.register_buffer("scale", torch.ones(num_inputs))
        self.register_buffer("plans", plans, persistent=False)

        def layer(inputs: int, outputs: int) -> nn.Parameter:
            weights = torch.rand(ensemble, inputs + 1, outputs, generator=generator)
            if generator is None:  # arithmetic without memory makes torch import its compiler
                return nn.Parameter(weights)
            return nn.Parameter((2 * weights - 1) / inputs**0.5)

        self.inputs_1 = layer(num_inputs, hidden)
        self.inputs_2 = layer(hidden, hidden)
        self.inputs_3 = layer(hidden, rank)
        self.plans_1 = layer(plans.shape[1], hidden)
        self.plans_2 = layer(hidden, rank)

    def standardise(self, observations: Tensor) -> None:
        """Set centre and scale to those of observations [B, F]."""
        self.centre.copy_(observations.mean(dim=0))
        self.scale.copy_(observations.std(dim=0).clamp(min=MIN_SCALE))

    def forward(self, observations: Tensor) -> Tensor:
        """Return each net's values of all plans for observations [B, F], [E, B, O]."""
        return self._states(observations) @ self._plans().transpose(1, 2)

    def _states(self, observations: Tensor) -> Tensor:
        """Return f, [E, B, R], for observations [B, F]."""
        x = ((observations - self.centre) / self.scale).clamp(-_FAR, _FAR)
        x = x.expand(len(self.inputs_1), *x.shape)
        x = torch.relu(_affine(x, self.inputs_1))
        x = torch.relu(_affine(x, self.inputs_2))
        return _affine(x, self.inputs_3)

    def _plans(self) -> Tensor:
        """Return g, [E, O, R]."""
        g = self.plans.expand(len(self.plans_1), *self.plans.shape)
        return _affine(torch.relu(_affine(g, self.plans_1)), self.plans_2)

    def part(self, count: int) -> "PlanValue":
        """Return the first pairs of nets, at most ``count``, which share this one's weights."""
        part = copy(self)
        part._parameters = {
            name: nn.Parameter(weights.detach()[:count], requires_grad=False)
            for name, weights in self.named_parameters()
        }
        return part

    @torch.no_grad()
    def mean(self, observations: Float32) -> Tensor:
        """Return the ensemble's mean values of all plans, [B, O], on the CPU.

        A row's values do not depend on the rows beside it, to the last bit.
        """
        chunks = torch.split(torch.as_tensor(observations, device=self.centre.device), _CHUNK)
        return torch.cat([self._mean(chunk) for chunk in chunks]).cpu()

    def _mean(self, rows: Tensor) -> Tensor:
        padded = nn.functional.pad(rows, (0, 0, 0, max(_LEAST - len(rows), 0)))
        f, g = self._states(padded), self._plans()
        # The mean of products is one product of what the nets return side by side.
        f = f.transpose(0, 1).reshape(len(padded), -1)
        mean: Tensor = (f @ g.transpose(1, 2).reshape(f.shape[1], -1))[: len(rows)]
        return mean / len(g)


def mean_values(values: Sequence[PlanValue], observations: Float32) -> Float32:
    """Return the values of all plans, averaged over ensembles of nets, [B, O].

    Args:
        values: the ensembles.
        observations: [B, F].
    """
    q = torch.stack([value.mean(observations) for value in values]).mean(dim=0)
    mean: Float32 = q.numpy()
    return mean


def plan_table(world: World) -> Tensor:
    """Return features of a world's plans, [O, P].

    For each channel with target p they are p / 7, sqrt(p) and p > 0. If the world has pacing
    shapes, a one-hot code of the shape follows.
    """
    plans = torch.as_tensor(world.plans, dtype=torch.float32)
    features = [plans / 7, plans.sqrt(), (plans > 0).float()]
    if world.shapes:
        shapes = torch.as_tensor(world.plan_shapes, dtype=torch.int64)
        features.append(nn.functional.one_hot(shapes).float())
    return torch.cat(features, dim=1)


class Branched(NamedTuple):
    """States, and the returns of some plans from each of them under the same luck."""

    observations: Float32  # [B, F]
    plans: Int64  # [B, M] indices into the menu
    returns: Float32  # [B, M] in viewing days


def joined(parts: list[Branched]) -> Branched:
    """Return the states of all parts."""
    return Branched(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def fit(
    value: PlanValue,
    data: Branched,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    weight_decay: float,
    generator: torch.Generator,
) -> float:
    """Fit differences between the plans of a state by least squares; return the last epoch's loss.

    The mean over the plans of a state is subtracted from values and returns, which removes the luck
    that the branches share. The loss is divided by the variance of returns within a state, so that
    it is 1 before anything is learned.

    Args:
        value: the nets.
        data: states, plans and returns.
        epochs: number of passes over the data.
        batch_size: number of states in a gradient step.
        learning_rate: initial learning rate of AdamW, which falls to 0 by a cosine.
        weight_decay: weight decay of AdamW.
        generator: generator of the batches.

    Raises:
        LossNotFiniteError: the loss is NaN or infinite.
    """
    observations, plans, target = (torch.as_tensor(a, device=value.centre.device) for a in data)
    target = target - target.mean(dim=1, keepdim=True)
    target = target / target.std().clamp(min=torch.finfo(torch.float32).tiny)
    value.standardise(observations)
    optimiser = torch.optim.AdamW(
        value.parameters(), learning_rate, weight_decay=weight_decay, fused=True
    )
    steps = epochs * -(-len(observations) // batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    total = 0.0
    for _ in range(epochs):
        total = 0.0
        order = torch.randperm(len(observations), generator=generator)
        for rows in torch.split(order, batch_size):
            q = value(observations[rows])  # [E, B, O]
            q = q.gather(2, plans[rows].expand(len(q), -1, -1))  # [E, B, M]
            error = q - q.mean(dim=2, keepdim=True) - target[rows]
            loss = error.square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            if not isfinite(loss.item()):
                batch = {"observations": observations, "plans": plans, "target": target}
                arrays = {name: tensor[rows].cpu().numpy() for name, tensor in batch.items()}
                raise LossNotFiniteError(loss.item(), arrays)
            total += loss.item() * len(rows)
    return total / len(observations)


def _affine(x: Tensor, weights: Tensor) -> Tensor:
    """Return x [E, B, I] times weights [E, I + 1, J], the last row being the bias, [E, B, J]."""
    return torch.baddbmm(weights[:, -1:], x, weights[:, :-1])
