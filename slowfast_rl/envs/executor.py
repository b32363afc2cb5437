"""The default fast policy: meet the plan exactly, send the candidate of the best quality."""

from typing import Protocol

import numpy as np

from slowfast_rl.envs.guard import guard, guarded, plan_rows, target_of
from slowfast_rl.members.arrays import Float32, Float64, Int32, Int64
from slowfast_rl.members.compile import driver, kernel
from slowfast_rl.members.day_weights import pacing_parameters, week_weights, weighed_slots
from slowfast_rl.members.numerics import ONE
from slowfast_rl.members.opportunity import (
    ASK_SIGNATURE,
    PACER_SIGNATURE,
    RANKER_SIGNATURE,
    FastPolicy,
    Opportunity,
    seen_chance,
)
from slowfast_rl.members.population import Population
from slowfast_rl.members.random import (
    CANDIDATE,
    PACER,
    choose_below,
    draw,
    lane,
    normal,
    philox,
    uniform,
)
from slowfast_rl.members.state import Log
from slowfast_rl.members.week import Week
from slowfast_rl.members.world import World
from slowfast_rl.store import UNIFORM_SHAPE

_NO_WEIGHTS = np.zeros(0, np.float32)


@kernel
def candidate_words(
    chance: Opportunity, block: int
) -> tuple[np.uint32, np.uint32, np.uint32, np.uint32]:
    """Return the random words of candidates 4 block to 4 block + 3, made only when asked for."""
    return philox(chance.seed, chance.stream, chance.member, chance.time, block, CANDIDATE)


@kernel
def toss(chance: Opportunity, wanted: np.float32, of: np.float32) -> float:
    """Return minus infinity with probability wanted / of, at most 1, else infinity."""
    if wanted < of:
        coin = uniform(draw(chance.seed, chance.stream, chance.member, chance.time, 0, PACER))
        if coin * of >= wanted:
            return np.inf
    return -np.inf


@kernel
def put_answer(
    chance: Opportunity,
    rows: Int32,
    score: float,
    share: float,
    least: Float64,
    odds: Float64,
) -> None:
    """Put a pacer's least score, and the probability of that answer, in the opportunity's row.

    ``share`` is the probability of a send, from 1 on certain; what the guard forbids is certain.
    """
    i = chance.row
    if not guarded(chance, rows):
        least[i], odds[i] = np.inf, 1.0
    else:
        chanced = min(share, 1.0)
        least[i], odds[i] = score, 1.0 - chanced if score == np.inf else chanced


@kernel
def _exact_share(
    chance: Opportunity, rows: Int32, pacing: Float32
) -> tuple[np.float32, np.float32]:
    remaining = target_of(rows, chance.row, chance.channel) - chance.sent
    if remaining <= 0 or chance.opted_in == 0:
        return np.float32(0), ONE
    if remaining >= chance.slots_left:
        return ONE, ONE
    return np.float32(remaining), weighed_slots(chance, pacing, 1, chance.slots_left)


@driver(PACER_SIGNATURE)
def exact_pace(chance: Opportunity, rows: Int32, pacing: Float32) -> float:
    """Send with probability remaining / slots left, each slot counted by its weight.

    The target is met exactly, evenly in time where weights are equal; ``pacing`` is
    :func:`exact_pacing`.
    """
    wanted, of = _exact_share(chance, rows, pacing)
    return toss(chance, wanted, of)


@driver(ASK_SIGNATURE)
def ask_exact(
    chances: Int64,
    rows: Int32,
    pacing: Float32,
    seed: int,
    slots: int,
    least: Float64,
    odds: Float64,
) -> None:
    """Fill in what :func:`exact_pace` and the guard say of opportunities, and how probably."""
    for i in range(least.shape[0]):
        chance = seen_chance(chances[i], i, seed, slots)
        wanted, of = _exact_share(chance, rows, pacing)
        put_answer(chance, rows, toss(chance, wanted, of), float(wanted / of), least, odds)


def exact_pacing(world: World, weights: Float32 | None = None) -> Float32:
    """Return the exact pacer's parameters for a week under day weights [N, 7], None for equal."""
    return pacing_parameters(world, _NO_WEIGHTS, weights)


@driver(RANKER_SIGNATURE)
def quality_rank(
    chance: Opportunity, log: Log, launches: Float32, ranking: Float32
) -> tuple[int, float]:
    """Return the candidate of the highest content quality and that quality."""
    best, best_rest = 0, np.uint32(0)
    words = candidate_words(chance, 0)
    for j in range(chance.num_candidates):
        if j and not j & 3:
            words = candidate_words(chance, j >> 2)
        _, rest = choose_below(lane(words, j & 3), chance.num_topics)
        if best == 0 or rest > best_rest:  # quality rises with the word that it is made of
            best, best_rest = j + 1, rest
    return best, float(normal(best_rest))


class Executor(Protocol):
    """Anything that lives a population through a week under given plans."""

    def run_week(
        self,
        population: Population,
        target: Int32,
        cap: Int32 | None = None,
        shape: Int32 | int = UNIFORM_SHAPE,
    ) -> Week:
        """Live through one week; see :class:`JittedExecutor`."""
        ...


class JittedExecutor:
    """A fast policy of a jitted pacer and a jitted ranker, run by the fused driver.

    Args:
        policy: what decides, whatever the pacing shape; the default meets the plan exactly, paced
            by its shape, and ranks on quality.
    """

    def __init__(self, policy: FastPolicy | None = None) -> None:
        self._policy = policy

    def policy(self, world: World, weights: Float32 | None = None) -> FastPolicy:
        """Return the jitted policy of one week.

        Args:
            world: the world.
            weights: [N, 7] day weights of the plans' shapes; None where all are uniform.
        """
        if self._policy is not None:
            return self._policy
        return FastPolicy(exact_pace, quality_rank, exact_pacing(world, weights), _NO_WEIGHTS)

    def run_week(
        self,
        population: Population,
        target: Int32,
        cap: Int32 | None = None,
        shape: Int32 | int = UNIFORM_SHAPE,
    ) -> Week:
        """Live through one week under plans handed over as arrays; every send passes the guard.

        Args:
            population: at the beginning of a week.
            target: [N, C] sends meant for the week.
            cap: [N, C] sends allowed in the week; None for the target.
            shape: pacing shape id, one or [N]; an id that the world does not offer is uniform.
        """
        rows = plan_rows(target, target if cap is None else cap, shape)
        policy = self.policy(population.world, week_weights(population, shape))
        return population.run_week(policy, guard, rows)


def default_executor() -> JittedExecutor:
    """Return the executor that every planner is scored with: exact pacer, quality ranker."""
    return JittedExecutor()
