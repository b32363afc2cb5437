"""Small worlds, requests and planners for tests of slow policies."""

from dataclasses import replace

import numpy as np

from slowfast_rl.envs.execution import Request
from slowfast_rl.envs.guard import feasible_plans
from slowfast_rl.members.signals import bounds, week_features
from slowfast_rl.members.world import World
from slowfast_rl.slow import PPOPlanner
from tests.members.worlds import world

SMALL_MENU = ((0, 2, 14), (0, 7))


def small_world(name: str = "pronounced") -> World:
    """A world with six plans, so that little data tells them apart."""
    return replace(world(name), menu=SMALL_MENU)


def tiny_planner(**settings) -> PPOPlanner:
    chosen = {"num_envs": 32, "weeks": 4, "n_steps": 4, "batch_size": 64, "n_epochs": 2}
    return PPOPlanner(**(chosen | {"hidden": 8} | settings))


def patterns(num_channels: int) -> np.ndarray:
    """All opt-in flags, [2^C, C]."""
    return (np.arange(2**num_channels)[:, None] >> np.arange(num_channels) & 1).astype(bool)


def requests(world: World, opted_in: np.ndarray, week: int = 0, seed: int = 0) -> Request:
    """Requests of members 0, 1, ... with these flags [B, C] and random signals."""
    size = len(opted_in)
    low, high = bounds(week_features(world))
    signals = np.random.default_rng(seed).uniform(low, high, (size, len(low))).astype(np.float32)
    names = [feature.name for feature in week_features(world)]
    for c, channel in enumerate(world.channels):
        signals[:, names.index(f"{channel}_opted_in")] = opted_in[:, c]
    return Request(
        signals, feasible_plans(world.plans, opted_in), np.arange(size), np.full(size, week)
    )
