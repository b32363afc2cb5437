"""Small worlds, requests and planners for tests of slow policies."""

import json
from dataclasses import replace

import numpy as np

from slowfast_rl.members.arrays import Float32
from slowfast_rl.members.beliefs import BeliefFilter
from slowfast_rl.members.observations import Feature, bounds, privileged_features, weekly_features
from slowfast_rl.members.world import World
from slowfast_rl.policies.component_files import from_node, to_node
from slowfast_rl.policies.contracts import PlanRequest
from slowfast_rl.policies.guard import feasible_plans
from slowfast_rl.slow import PPOPlanner, RolloutPlanner
from tests.members.worlds import world


def rebuilt(planner, w: World, changes=None):
    """A planner as a file would give it back, with some settings, states or its version changed."""
    arrays: dict[str, np.ndarray] = {}
    node = json.loads(json.dumps(to_node(planner, "slow", arrays)))
    for name, value in (changes or {}).items():
        part = (
            node if name in node else node["state"] if name in node["state"] else node["settings"]
        )
        part[name] = value
    return from_node(node, "planner", w, "slow", arrays)


SMALL_MENU = ((0, 2, 14), (0, 7))


def small_world(name: str = "pronounced") -> World:
    """A world with six plans, so that little data tells them apart."""
    return replace(world(name), menu=SMALL_MENU)


def tiny_planner(**settings) -> PPOPlanner:
    """A small network on the week's signals alone."""
    chosen = {"num_envs": 32, "weeks": 4, "n_steps": 4, "batch_size": 64, "n_epochs": 2}
    return PPOPlanner(**(chosen | {"hidden": 8, "beliefs": False} | settings))


def tiny_rollouts(**settings) -> RolloutPlanner:
    chosen = {"states": 24, "branches": 4, "hold": 1, "horizon": 3, "ages": 4, "weeks_between": 2}
    chosen |= {"ensemble": 2, "hidden": 8, "rank": 4, "epochs": 2, "batch_size": 16, "acting": 1}
    return RolloutPlanner(**(chosen | settings))


def budget(learner, w: World, rounds: int = 1) -> int:
    """The opportunities of so many rounds of all members, and no fewer rounds than it needs."""
    members = learner.schedule(w, 2**60).members
    one = learner.schedule(w, 1)
    least = one.opportunities // one.members * members
    step = learner.schedule(w, least + 1).opportunities - least
    return least + max(rounds - one.rounds, 0) * step


def learned(learner, w: World, *given, rounds: int = 1, **arguments):
    """The learner after so many rounds of all members."""
    total = budget(learner, w, rounds)
    return learner.learn(w, *given, total_opportunities=total, **arguments)


def patterns(num_channels: int) -> np.ndarray:
    """All opt-in flags, [2^C, C]."""
    return (np.arange(2**num_channels)[:, None] >> np.arange(num_channels) & 1).astype(bool)


def requests(world: World, opted_in: np.ndarray, week: int = 0, seed: int = 0) -> PlanRequest:
    """Requests of members 0, 1, ... with these flags [B, C] and all signals random."""
    size, generator = len(opted_in), np.random.default_rng(seed)

    def within(features: tuple[Feature, ...]) -> Float32:
        low, high = bounds(features)
        return generator.uniform(low, high, (size, len(low))).astype(np.float32)

    observations = within(weekly_features(world))
    names = [feature.name for feature in weekly_features(world)]
    for c, channel in enumerate(world.channels):
        observations[:, names.index(f"{channel}_opted_in")] = opted_in[:, c]
    return PlanRequest(
        observations,
        feasible_plans(world.plans, opted_in),
        np.arange(size),
        np.full(size, week),
        within(BeliefFilter(world).features),
        within(privileged_features(world)),
    )
