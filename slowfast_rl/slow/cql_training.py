"""Discrete conservative Q-learning by d3rlpy. Needs the extra ``offline_rl``."""

import io
from contextlib import redirect_stderr
from typing import TYPE_CHECKING, Any

import numpy as np

from slowfast_rl.members.arrays import Float32
from slowfast_rl.slow.weekly_steps import WeeklySteps

try:
    with redirect_stderr(io.StringIO()):  # it imports gym, which prints that it is not maintained
        import d3rlpy
except ImportError as error:
    raise ImportError(
        "conservative Q-learning needs d3rlpy: pip install 'slowfast_rl[offline_rl]'"
    ) from error

import torch

if TYPE_CHECKING:
    from slowfast_rl.slow.cql import CQLSettings


def train_q(
    steps: WeeklySteps,
    num_plans: int,
    settings: "CQLSettings",
    discount: float,
    seed: int,
) -> dict[str, Float32]:
    """Return the layers of a Q-network by name: ``weight_0``, ``bias_0`` and so on.

    Batches are drawn here and passed to d3rlpy's ``update``, which is faster than its own sampling
    of one transition at a time, and leaves the global random generators as they are.

    Args:
        steps: [B] weeks, whose observations are standardised.
        num_plans: O, number of plans on the menu.
        settings: of the training.
        discount: of a week, below 1.
        seed: of weights and batches.
    """
    unit = _unit(steps, discount)
    rewards = (steps.rewards / unit).astype(np.float32)[:, None]
    config = d3rlpy.algos.DiscreteCQLConfig(
        learning_rate=settings.learning_rate,
        batch_size=settings.batch_size,
        gamma=discount,
        alpha=settings.alpha,
        target_update_interval=settings.target_update_interval,
        encoder_factory=d3rlpy.models.VectorEncoderFactory([settings.hidden, settings.hidden]),
    )
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        algorithm = config.create(device=settings.device)
        algorithm.create_impl((steps.observations.shape[1],), num_plans)
        _begin_at(algorithm, float(rewards.mean()) / (1 - discount * (1 - steps.churned.mean())))
        batch = min(settings.batch_size, len(steps.plans))
        for _ in range(settings.gradient_steps):
            rows = rng.integers(len(steps.plans), size=batch)
            actions = steps.plans[rows, None].astype(np.float32)
            algorithm.update(
                d3rlpy.dataset.TransitionMiniBatch(
                    observations=steps.observations[rows],
                    actions=actions,
                    rewards=rewards[rows],
                    next_observations=steps.following[rows],
                    next_actions=actions,  # Q-learning does not read them
                    terminals=steps.churned[rows, None].astype(np.float32),
                    intervals=np.ones((batch, 1), np.float32),
                    transitions=[],
                )
            )
    return _layers(algorithm, unit)


def _unit(steps: WeeklySteps, discount: float) -> float:
    """Return a utility in which no return is above 1.

    d3rlpy's Huber loss is then a squared error, whose minimum is a mean, even where a member churns
    and all its later utility is lost.
    """
    usual, ended = np.abs(steps.rewards[~steps.churned]), np.abs(steps.rewards[steps.churned])
    return max(float(usual.max(initial=0) / (1 - discount) + ended.max(initial=0)), 1e-6)


def _networks(algorithm: Any) -> list[Any]:
    """Return the Q-network and its target network."""
    modules = algorithm.impl.modules
    return [modules.q_funcs[0], modules.targ_q_funcs[0]]


def _begin_at(algorithm: Any, value: float) -> None:
    """Let both networks begin at a mean return, which bootstrapping would take long to reach."""
    for network in _networks(algorithm):
        with torch.no_grad():
            network._fc.bias.fill_(value)


def _layers(algorithm: Any, unit: float) -> dict[str, Float32]:
    """Return weights and biases of the Q-network, with Q in viewing days."""
    network = _networks(algorithm)[0]
    linear = [m for m in network.modules() if isinstance(m, torch.nn.Linear)]
    linear = [*(m for m in linear if m is not network._fc), network._fc]
    found = {}
    for number, layer in enumerate(linear):
        scale = unit if layer is network._fc else 1.0
        found[f"weight_{number}"] = (layer.weight.detach().cpu().numpy() * scale).astype(np.float32)
        found[f"bias_{number}"] = (layer.bias.detach().cpu().numpy() * scale).astype(np.float32)
    return found
