"""The planners under test: a new one is a new line here."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
import torch

from slowfast_rl.members.features import weekly_features
from slowfast_rl.members.world import World
from slowfast_rl.policies.contracts import BasePlanner
from slowfast_rl.slow import (
    CQLPlanner,
    DealtPlanner,
    FixedPlanner,
    PerMemberPlanner,
    RandomPlanner,
    SegmentsPlanner,
    UtilityPlanner,
)
from slowfast_rl.slow.effects import plan_features
from slowfast_rl.slow.plan_effect_features import observation_terms
from slowfast_rl.slow.plan_logs import outcome_names
from tests.slow.cases import requests, tiny_planner, tiny_rollouts


class Case(NamedTuple):
    """One kind of planner; ``trained`` makes one that knows a world, as after training."""

    trained: Callable[[World], BasePlanner]
    alone: bool = True  # whether a member's plan does not depend on who else is asked
    believes: bool = False  # whether it needs beliefs
    saved: bool = False  # whether it can be saved


def random_ppo(world: World, **settings):
    """Random weights, larger than training begins with, so that plans differ."""
    planner = tiny_planner(num_envs=2, **settings).untrained(world, 3)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weights in planner.policy.parameters():
            weights.copy_(torch.randn(weights.shape, generator=generator))
    return planner


def random_rollouts(world: World, **settings):
    """Random nets of the last two iterations."""
    planner = tiny_rollouts(**settings).untrained(world)
    generator = torch.Generator().manual_seed(3)
    planner.values = [planner._new_value(world, generator) for _ in range(2)]
    planner.policy_version = 2
    return planner


def varied(world: World) -> PerMemberPlanner:
    return PerMemberPlanner(world, np.arange(1000) % len(world.plans))


def made_up_segments(world: World) -> SegmentsPlanner:
    """Plans from the most to the least, by viewing."""
    plans = world.plans[[-1, len(world.plans) // 2, 0]].tolist()
    state = {"thresholds": [1.0, 3.0], "plans": plans}
    return SegmentsPlanner.from_state(world, SegmentsPlanner(segments=3).settings, state)


def random_utility(world: World) -> UtilityPlanner:
    """Random effects of plans on members of all kinds, none on the average member."""
    everyone = requests(world, np.ones((200, len(world.channels)), bool)).observations
    terms = observation_terms(world, everyone)
    shape = (plan_features(world).shape[1], 1 + terms.shape[1], len(outcome_names(world)))
    weights = np.random.default_rng(3).normal(size=shape).astype(np.float32)
    weights[:, 0] = 0
    state = {"centre": terms.mean(axis=0), "scale": terms.std(axis=0) + np.float32(0.01)}
    return UtilityPlanner.from_state(world, UtilityPlanner().settings, state | {"weights": weights})


def random_cql(world: World) -> CQLPlanner:
    """A small network of random weights."""
    rng = np.random.default_rng(3)
    inputs, hidden, plans = len(weekly_features(world)), 8, len(world.plans)
    state = {"centre": np.zeros(inputs), "scale": np.full(inputs, 3.0)}
    for number, (rows, columns) in enumerate([(hidden, inputs), (hidden, hidden), (plans, hidden)]):
        state[f"weight_{number}"] = rng.normal(size=(rows, columns))
        state[f"bias_{number}"] = rng.normal(size=rows)
    state = {name: array.astype(np.float32) for name, array in state.items()}
    return CQLPlanner.from_state(world, CQLPlanner(hidden=hidden).settings, state)


CASES = {
    "fixed": Case(lambda w: FixedPlanner(w, tuple(targets[-1] for targets in w.menu)), saved=True),
    "per member": Case(varied),
    "random": Case(lambda w: RandomPlanner(3), saved=True),
    "dealt": Case(lambda w: DealtPlanner(varied(w), 3), alone=False),
    "dealt rollouts": Case(
        lambda w: DealtPlanner(random_rollouts(w), 3), alone=False, believes=True
    ),
    "PPO": Case(random_ppo, saved=True),
    "PPO with beliefs": Case(lambda w: random_ppo(w, beliefs=True), believes=True, saved=True),
    "rollouts": Case(random_rollouts, believes=True, saved=True),
    "rollouts without beliefs": Case(lambda w: random_rollouts(w, beliefs=False), saved=True),
    "privileged rollouts": Case(
        lambda w: random_rollouts(w, privileged=True), believes=True, saved=True
    ),
    "untrained rollouts": Case(lambda w: tiny_rollouts().untrained(w), believes=True, saved=True),
    "segments": Case(made_up_segments, saved=True),
    "utility": Case(random_utility, saved=True),
    "CQL": Case(random_cql, saved=True),
}

MakeLearner = Callable[[], BasePlanner]
LEARNERS: dict[str, MakeLearner] = {
    "PPO": tiny_planner,
    "PPO with beliefs": lambda: tiny_planner(beliefs=True),
    "rollouts": tiny_rollouts,
    "privileged rollouts": lambda: tiny_rollouts(privileged=True, beliefs=False),
}
TRAINED = LEARNERS | {
    "segments": lambda: SegmentsPlanner(num_members=24, weeks=3, burn_in_weeks=3, rounds=1),
    "utility": lambda: UtilityPlanner(num_members=64, weeks=16),
}
if find_spec("d3rlpy"):  # the extra offline_rl, which the lock leaves out
    TRAINED["CQL"] = lambda: CQLPlanner(num_members=24, weeks=3, gradient_steps=20, hidden=8)
