"""What each plan is worth to a member: an ensemble of bilinear nets, signals times plans."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from slowfast_rl.members.arrays import Float32, Int64
from slowfast_rl.members.world import World

_LEAST_SCALE = 0.01  # signals that hardly vary are not blown up
_FAR = 5.0  # standard deviations beyond which a signal is clipped


class PlanValue(nn.Module):
    """Q(signals, plan) = f(signals) . g(plan), one pair of nets per member of the ensemble.

    Args:
        plans: [O, C] sends a week.
        num_signals: F.
        ensemble: E, nets whose values are averaged.
        hidden: width of the nets.
        rank: length of the product's vectors.
        generator: of the weights that training begins with.
    """

    centre: Tensor
    scale: Tensor
    plans: Tensor

    def __init__(
        self,
        plans: Tensor,
        num_signals: int,
        ensemble: int,
        hidden: int,
        rank: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(num_signals))
        self.register_buffer("scale", torch.ones(num_signals))
        self.register_buffer("plans", plan_features(plans), persistent=False)

        def layer(inputs: int, outputs: int) -> nn.Parameter:
            bound = inputs**-0.5
            weights = torch.rand(ensemble, inputs + 1, outputs, generator=generator)
            return nn.Parameter(bound * (2 * weights - 1))

        self.signals_1 = layer(num_signals, hidden)
        self.signals_2 = layer(hidden, hidden)
        self.signals_3 = layer(hidden, rank)
        self.plans_1 = layer(self.plans.shape[1], hidden)
        self.plans_2 = layer(hidden, rank)

    def standardise(self, signals: Tensor) -> None:
        """Set centre and scale to those of signals [B, F]."""
        self.centre.copy_(signals.mean(dim=0))
        self.scale.copy_(signals.std(dim=0).clamp(min=_LEAST_SCALE))

    def forward(self, signals: Tensor) -> Tensor:
        """Return each net's values of all plans for signals [B, F], [E, B, O]."""
        x = ((signals - self.centre) / self.scale).clamp(-_FAR, _FAR)
        x = x.expand(len(self.signals_1), *x.shape)
        x = torch.relu(_affine(x, self.signals_1))
        x = torch.relu(_affine(x, self.signals_2))
        x = _affine(x, self.signals_3)
        g = self.plans.expand(len(self.plans_1), *self.plans.shape)
        g = _affine(torch.relu(_affine(g, self.plans_1)), self.plans_2)
        return x @ g.transpose(1, 2)


def plan_features(plans: Tensor) -> Tensor:
    """Return p / 7, sqrt(p) and p > 0 per channel of plans [O, C], [O, 3 C]."""
    return torch.cat([plans / 7, plans.sqrt(), (plans > 0).float()], dim=1)


def plan_table(world: World) -> Tensor:
    """Return a world's plans as floats, [O, C]."""
    return torch.as_tensor(world.plans, dtype=torch.float32)


class Branched(NamedTuple):
    """States and what some plans brought from there under the same luck."""

    signals: Float32  # [S, F]
    plans: Int64  # [S, M] indices into the menu
    returns: Float32  # [S, M] in viewing days


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
    """Fit differences between plans of a state by least squares; return the last epoch's loss.

    What a state is worth under all plans alike is subtracted on both sides: nothing has to be
    learned of it, and the branches' common luck is gone.
    """
    signals, plans = torch.as_tensor(data.signals), torch.as_tensor(data.plans)
    target = torch.as_tensor(data.returns)
    target = target - target.mean(dim=1, keepdim=True)
    target = target / target.std()
    value.standardise(signals)
    parameters = list(value.parameters())
    optimiser = torch.optim.AdamW(parameters, learning_rate, weight_decay=weight_decay, fused=True)
    steps = epochs * -(-len(signals) // batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    total = torch.zeros(())
    for _ in range(epochs):
        total.zero_()
        for rows in torch.randperm(len(signals), generator=generator).split(batch_size):
            q = value(signals[rows])  # [E, B, O]
            q = q.gather(2, plans[rows].expand(len(q), -1, -1))
            error = q - q.mean(dim=2, keepdim=True) - target[rows]
            loss = error.square().mean()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            total += loss.detach() * len(rows)
    return float(total) / len(signals)


def _affine(x: Tensor, weights: Tensor) -> Tensor:
    """Return x [E, B, I] times weights [E, I + 1, J], the last row being the bias, [E, B, J]."""
    return torch.baddbmm(weights[:, -1:], x, weights[:, :-1])
