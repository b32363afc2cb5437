"""How fast the environments are: units per CPU-second on one thread, beside a peer."""

from collections.abc import Callable, Iterator
from functools import partial
from time import process_time
from typing import NamedTuple

import gymnasium as gym
import numpy as np

from slowfast_rl.envs import MessagingVectorEnv, PacingVectorEnv
from slowfast_rl.members.arrays import Int32
from slowfast_rl.members.population import Population
from slowfast_rl.members.world import World
from slowfast_rl.policies import default_executor

PLANS = ((1, 1), (3, 1), (5, 2))
PEER = "Gymnasium CartPoleVectorEnv"
_PEER_ENVS, _PEER_STEPS = 1024, 1000
_SEND_SHARE = 1 / 3


class Case(NamedTuple):
    """Something to measure."""

    name: str
    members: int
    unit: str
    once: Callable[[], float]  # does it once and returns units per CPU-second


class Speed(NamedTuple):
    """Units per CPU-second over several repeats."""

    median: float
    min: float
    max: float


def measure(case: Case, repeats: int, progress: Callable[[], object] | None = None) -> Speed:
    """Measure a case.

    Args:
        case: what to do.
        repeats: how often, after one warm-up.
        progress: called after the warm-up and after each repeat.
    """
    rates = []
    for number in range(repeats + 1):
        rate = case.once()
        if number:  # the first compiles and fills caches
            rates.append(rate)
        if progress is not None:
            progress()
    return Speed(float(np.median(rates)), min(rates), max(rates))


def env_cases(world: World, members: int, weeks: int, seed: int) -> list[Case]:
    """Return the cases of the environments.

    Every repeat starts with fresh members and lives few weeks, so nearly all are alive throughout;
    a churned member's opportunities count although they cost less. Only the stepping is timed, not
    the making of members or the drawing of actions.

    Args:
        world: the world.
        members: N, stepped together.
        weeks: simulated weeks a repeat.
        seed: of population, luck, plans and actions.
    """
    start = Population(world, members, seed, seed)
    slots = world.slots_per_week
    most = tuple(int(t) for t in world.plans.max(axis=0))
    fixed = [p for p in PLANS if len(p) == len(most) and p in set(map(tuple, world.plans.tolist()))]

    def fused(name: str, plans: Callable[[np.random.Generator], Int32]) -> Case:
        once = partial(_fused, start, weeks, plans, seed)
        return Case(f"fused weeks, {name}", members, "opportunities", once)

    cases = [fused(f"plan {p}", partial(_same, members, p)) for p in fixed]
    cases.append(fused("random plans", partial(_random, members, world.plans)))
    cases.append(fused(f"always {most}", partial(_same, members, most)))
    pacing = partial(_pacing, world, members, weeks, seed)
    return [
        *cases,
        Case(
            "Messaging-v0 step, observations",
            members,
            "opportunities",
            partial(_messaging, world, members, weeks, seed),
        ),
        Case("Pacing-v0 step, observations", members, "weeks", pacing),
        Case("Pacing-v0 step, observations", members, "opportunities", lambda: pacing() * slots),
        Case(PEER, _PEER_ENVS, "steps", partial(_cartpole, seed)),
    ]


def _same(members: int, plan: tuple[int, ...], draws: np.random.Generator) -> Int32:
    return np.tile(np.array(plan, np.int32), (members, 1))


def _random(members: int, plans: Int32, draws: np.random.Generator) -> Int32:
    return plans[draws.integers(len(plans), size=members)]


def _fused(
    start: Population, weeks: int, plans: Callable[[np.random.Generator], Int32], seed: int
) -> float:
    """Live weeks through the default executor, plans handed over as arrays."""
    draws = np.random.default_rng(seed)
    population, executor = start.clone(), default_executor()
    targets = [plans(draws) for _ in range(weeks)]
    begin = process_time()
    for target in targets:
        executor.run_week(population, target)
    seconds = process_time() - begin
    return start.num_members * start.world.slots_per_week * weeks / seconds


def _messaging(world: World, members: int, weeks: int, seed: int) -> float:
    """Step with random candidates at about a third of the opportunities that the mask allows."""
    env = MessagingVectorEnv(members, world, weeks=weeks + 1, population_seed=seed)
    draws = np.random.default_rng(seed)
    _, info = env.reset(seed=seed)
    seconds = 0.0
    steps = weeks * world.slots_per_week
    for _ in range(steps):
        sends = (draws.random(members) < _SEND_SHARE) & (info["action_mask"][:, 1] == 1)
        actions = np.where(sends, draws.integers(1, world.num_candidates + 1, members), 0)
        begin = process_time()
        *_, info = env.step(actions)
        seconds += process_time() - begin
    return members * steps / seconds


def _pacing(world: World, members: int, weeks: int, seed: int) -> float:
    """Step with random plans; a member that left a channel gets none on it."""
    env = PacingVectorEnv(members, world, weeks=weeks + 1, population_seed=seed)
    draws = np.random.default_rng(seed)
    env.reset(seed=seed)
    return members * weeks / sum(_timed(env, draws, weeks, len(world.plans)))


def _cartpole(seed: int) -> float:
    env = gym.make_vec("CartPole-v1", num_envs=_PEER_ENVS, vectorization_mode="vector_entry_point")
    env.reset(seed=seed)
    draws = np.random.default_rng(seed)
    return _PEER_ENVS * _PEER_STEPS / sum(_timed(env, draws, _PEER_STEPS, 2))


def _timed(
    env: gym.vector.VectorEnv, draws: np.random.Generator, steps: int, actions: int
) -> Iterator[float]:
    """Yield the CPU seconds of each step under random actions."""
    for _ in range(steps):
        chosen = draws.integers(actions, size=env.num_envs)
        begin = process_time()
        env.step(chosen)
        yield process_time() - begin
