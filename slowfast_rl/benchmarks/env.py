"""Benchmarks of the environments: units per CPU-second on one thread, with a reference."""

from collections.abc import Callable
from functools import partial
from time import process_time
from typing import Any

import numpy as np

from slowfast_rl.benchmarks.cases import Case, step_seconds
from slowfast_rl.benchmarks.env_peers import peer_cases
from slowfast_rl.envs import MessagingVectorEnv, PacingVectorEnv
from slowfast_rl.fast.affinity import AffinityRanker, Weights
from slowfast_rl.fast.bid_price import BidPricePacer
from slowfast_rl.fast.executor import PacedExecutor
from slowfast_rl.members.arrays import Int32
from slowfast_rl.members.population import Population
from slowfast_rl.members.world import World
from slowfast_rl.policies import default_executor
from slowfast_rl.policies.contracts import Executor

PLANS = ((1, 1), (3, 1), (5, 2))
_SEND_SHARE = 1 / 3


def env_cases(world: World, members: int, weeks: int, seed: int) -> list[Case]:
    """Return the benchmarks of the environments, of one thread.

    Every run starts with new members and simulates few weeks, so that nearly all of them stay
    alive; the opportunities of churned members count although they cost less. Only the stepping is
    timed, not the creation of members or the drawing of actions.

    Args:
        world: the world.
        members: N, the members that are stepped together.
        weeks: simulated weeks per run.
        seed: seed of population, luck, plans and actions.
    """
    start = Population(world, members, seed, seed)
    slots = world.slots_per_week
    most = tuple(int(t) for t in world.plans.max(axis=0))
    fixed = [p for p in PLANS if len(p) == len(most) and p in set(map(tuple, world.plans.tolist()))]

    def fused(
        name: str,
        plans: Callable[[np.random.Generator], Int32],
        executor: Executor | None = None,
    ) -> Case:
        once = partial(_time_fused, start, weeks, plans, seed, executor or default_executor())
        return Case(f"fused weeks, {name}", members, "opportunities", once)

    cases = [fused(f"plan {p}", partial(_constant_plan, members, p)) for p in fixed]
    random_plans = partial(_random_plans, members, world.plans)
    always = partial(_constant_plan, members, most)
    cases.append(fused("random plans", random_plans))
    cases.append(fused(f"always {most}", always))
    learned = _priced_executor(world)
    cases.append(fused("learned executor, random plans", random_plans, learned))
    cases.append(fused(f"learned executor, always {most}", always, learned))
    pacing = partial(_time_pacing, world, members, weeks, seed)
    return [
        *cases,
        Case(
            "Messaging-v0 step, observations",
            members,
            "opportunities",
            partial(_time_messaging, world, members, weeks, seed),
        ),
        Case("Pacing-v0 step, observations", members, "weeks", pacing),
        Case("Pacing-v0 step, observations", members, "opportunities", lambda: pacing() * slots),
        *peer_cases(world, members, weeks, seed),
    ]


def _priced_executor(world: World) -> PacedExecutor:
    """Return an executor of the classes that ``experiment=slowfast`` fits, with typical numbers."""
    scores = np.linspace(-1, 2, 200).tolist()
    ranker = AffinityRanker()
    ranker.learned = Weights(4.0, 1.0, 0.3, 0.5, -0.3, -0.2)
    return PacedExecutor(BidPricePacer.with_quantiles([scores] * len(world.channels)), ranker)


def _constant_plan(members: int, plan: tuple[int, ...], draws: np.random.Generator) -> Int32:
    return np.tile(np.array(plan, np.int32), (members, 1))


def _random_plans(members: int, plans: Int32, draws: np.random.Generator) -> Int32:
    return plans[draws.integers(len(plans), size=members)]


def _time_fused(
    start: Population,
    weeks: int,
    plans: Callable[[np.random.Generator], Int32],
    seed: int,
    executor: Executor,
) -> float:
    """Simulate weeks with an executor and plans passed as arrays."""
    draws = np.random.default_rng(seed)
    population = start.clone()
    targets = [plans(draws) for _ in range(weeks)]
    begin = process_time()
    for target in targets:
        executor.run_week(population, target)
    seconds = process_time() - begin
    return start.num_members * start.world.slots_per_week * weeks / seconds


def _time_messaging(world: World, members: int, weeks: int, seed: int) -> float:
    """Step with random candidates, sent at a third of the opportunities that the mask allows."""
    env = MessagingVectorEnv(members, world, **_episodes(weeks, seed))
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


def _time_pacing(world: World, members: int, weeks: int, seed: int) -> float:
    """Step with random plans; targets on channels that a member has left are executed as 0."""
    env = PacingVectorEnv(members, world, **_episodes(weeks, seed))
    draws = np.random.default_rng(seed)
    env.reset(seed=seed)
    return (
        members
        * weeks
        / step_seconds(env, weeks, lambda: draws.integers(len(world.plans), size=members))
    )


def _episodes(weeks: int, seed: int) -> dict[str, Any]:
    """Return an environment's arguments: who is simulated, with what luck, and for how long."""
    return {"weeks": weeks + 1, "population_seed": seed, "luck_seed": seed, "first_member": 0}
