"""What the environments are compared with: NumPy, the machine's limit, and other libraries."""

from functools import partial
from importlib.util import find_spec
from math import ceil
from time import process_time
from typing import Any

import gymnasium as gym
import numpy as np
from numba import types

from slowfast_rl.benchmarks.cases import Case, step_seconds
from slowfast_rl.benchmarks.numpy_members import GeneratorLuck, NumpyMembers
from slowfast_rl.members.arrays import Float32
from slowfast_rl.members.compile import driver
from slowfast_rl.members.population import Population
from slowfast_rl.members.random import OUTCOME, philox
from slowfast_rl.members.scratch import BLOCK, word_lane
from slowfast_rl.members.world import World

PEER = "Gymnasium CartPoleVectorEnv"
EXTRA_PEERS = {"gymnax": "gymnax CartPole"}  # the row of each package of the extra bench
_CARTPOLES, _CARTPOLE_STEPS = 1024, 1000
_GYMNAX_CARTPOLES, _GYMNAX_STEPS = 16_384, 200  # as many as it is fastest with
_NUMBERS = 100  # float32 in a member's rows: state, traits, log and ledger


def peer_cases(world: World, members: int, weeks: int, seed: int) -> list[Case]:
    """Return the benchmarks of peers: the same model in NumPy, the machine's limit, CartPole.

    Args:
        world: the world.
        members: N, the members that are simulated together.
        weeks: simulated weeks per run.
        seed: of plans, actions and random numbers.
    """
    start = Population(world, members, seed, seed)
    days = len({slot.weekday for slot in world.schedule})
    candidates = ceil(world.num_candidates / 4)  # a block of random words has four
    holds = partial(_time_limit, world, members, weeks, days, 0)
    # The pacer's coin, the candidates, and the outcome.
    sends = partial(_time_limit, world, members, weeks, days, 2 + candidates)
    cases = [
        Case(
            "the same weeks in NumPy, random plans",
            members,
            "opportunities",
            partial(_time_numpy, start, weeks, seed),
        ),
        Case("random numbers and memory alone, holds", members, "opportunities", holds),
        Case("random numbers and memory alone, sends", members, "opportunities", sends),
        Case(PEER, _CARTPOLES, "steps", partial(_time_cartpole, seed)),
    ]
    if find_spec("gymnax") is not None:
        once = partial(_time_gymnax, seed)
        cases.append(Case(EXTRA_PEERS["gymnax"], _GYMNAX_CARTPOLES, "steps", once))
    return cases


def missing_peers() -> list[str]:
    """Return the names of peers whose packages are not installed."""
    return [row for package, row in EXTRA_PEERS.items() if find_spec(package) is None]


def _time_numpy(start: Population, weeks: int, seed: int) -> float:
    """Simulate weeks under random plans with the model in NumPy."""
    world, draws = start.world, np.random.default_rng(seed)
    members = NumpyMembers(start, GeneratorLuck(seed, start.num_members, world.num_topics))
    size = weeks, start.num_members
    plans = world.plans[draws.integers(len(world.plans), size=size)]
    begin = process_time()
    for target in plans:
        members.run_week(target)
    seconds = process_time() - begin
    return start.num_members * world.slots_per_week * weeks / seconds


@driver(types.void(types.Array(types.float32, 2, "C"), *(types.int64,) * 4))
def _touch(rows: Float32, week: int, days: int, slots: int, per_slot: int) -> None:
    """Read and write each member's rows [N, _NUMBERS] once, and draw a week's random words.

    Args:
        rows: [N, _NUMBERS].
        week: its number.
        days: blocks of random words that a member needs for the week's days and its end.
        slots: opportunities in the week.
        per_slot: blocks of random words at each of them.
    """
    drawn, member = word_lane(), word_lane()
    for begin in range(0, rows.shape[0], BLOCK):
        size = min(BLOCK, rows.shape[0] - begin)
        for k in range(size):
            drawn[k] = 0
            member[k] = begin + k
        for number in range(days + slots * per_slot):
            for k in range(size):
                first, second, third, fourth = philox(0, 0, member[k], week, number, OUTCOME)
                drawn[k] += first ^ second ^ third ^ fourth
        for k in range(size):
            small = np.float32(drawn[k] & np.uint32(1))
            for j in range(rows.shape[1]):
                rows[begin + k, j] += small


def _time_limit(world: World, members: int, weeks: int, days: int, per_slot: int) -> float:
    """Draw the random words and touch the memory that weeks need, and compute nothing else."""
    rows = np.zeros((members, _NUMBERS), np.float32)
    begin = process_time()
    for week in range(weeks):
        _touch(rows, week, days + 1, world.slots_per_week, per_slot)
    seconds = process_time() - begin
    return members * world.slots_per_week * weeks / seconds


def _time_cartpole(seed: int) -> float:
    env = gym.make_vec("CartPole-v1", num_envs=_CARTPOLES, vectorization_mode="vector_entry_point")
    env.reset(seed=seed)
    draws = np.random.default_rng(seed)
    return (
        _CARTPOLES
        * _CARTPOLE_STEPS
        / step_seconds(env, _CARTPOLE_STEPS, lambda: draws.integers(2, size=_CARTPOLES))
    )


def _time_gymnax(seed: int) -> float:
    """Step gymnax's CartPole in one compiled loop, with actions that were drawn before."""
    import gymnax
    import jax

    jax.config.update("jax_platforms", "cpu")  # else it warns of other devices that are missing
    env, parameters = gymnax.make("CartPole-v1")
    reset, step = (jax.vmap(f, in_axes=axes) for f, axes in (
        (env.reset, (0, None)), (env.step, (0, 0, 0, None)),
    ))  # fmt: skip
    keys = jax.random.split(jax.random.key(seed), _GYMNAX_CARTPOLES + 1)
    key = keys[0]
    _, state = reset(keys[1:], parameters)
    size = _GYMNAX_STEPS, _GYMNAX_CARTPOLES
    actions = jax.random.randint(key, size, 0, 2)

    def one(carry: Any, chosen: Any) -> Any:
        state, key = carry
        key, own = jax.random.split(key)
        found = step(jax.random.split(own, _GYMNAX_CARTPOLES), state, chosen, parameters)
        return (found[1], key), found[2].sum()

    loop = jax.jit(lambda state, key: jax.lax.scan(one, (state, key), actions)[1])
    loop(state, key).block_until_ready()  # compiles
    begin = process_time()
    loop(state, key).block_until_ready()
    return _GYMNAX_CARTPOLES * _GYMNAX_STEPS / (process_time() - begin)
