"""Fast policies that only tests use; the jitted ones in a module, so that their code is cached."""

import numpy as np

from slowfast_rl.envs import MessagingVectorEnv
from slowfast_rl.members.arrays import Float32, Int32, Int64, UInt8
from slowfast_rl.members.compile import driver
from slowfast_rl.members.numerics import ONE
from slowfast_rl.members.opportunity import (
    PACER_SIGNATURE,
    RANKER_SIGNATURE,
    FastPolicy,
    Opportunity,
)
from slowfast_rl.members.random import Domain, random_words
from slowfast_rl.members.state import Log
from slowfast_rl.policies import JittedExecutor

_NO_WEIGHTS = np.zeros(1, np.float32)


@driver(PACER_SIGNATURE)
def eager_pace(
    opportunity: Opportunity, plan_rows: Int32, pacing: Float32
) -> tuple[float, np.float32, np.float32]:
    """Send whatever there is."""
    return -np.inf, ONE, ONE


@driver(RANKER_SIGNATURE)
def eager_rank(
    opportunity: Opportunity,
    topics: UInt8,
    qualities: Float32,
    log: Log,
    launches: Float32,
    ranking: Float32,
) -> tuple[int, float]:
    """Pick candidates in turn."""
    return 1 + opportunity.time % opportunity.num_candidates, 0.0


def eager_executor() -> JittedExecutor:
    """A fast policy that wants to send at every opportunity."""
    policy = FastPolicy(eager_pace, eager_rank, _NO_WEIGHTS, _NO_WEIGHTS)
    return JittedExecutor(lambda world, weights: policy)


class Columns:
    """Observations of a Messaging environment by the name of their features."""

    def __init__(self, env: MessagingVectorEnv) -> None:
        self._column = {feature.name: i for i, feature in enumerate(env.features)}
        self.channels = env.world.channels
        self.candidates = env.world.num_candidates

    def one(self, observations: Float32, name: str) -> Float32:
        """One feature, [N]."""
        return observations[:, self._column[name]]

    def per_channel(self, observations: Float32, pattern: str) -> Float32:
        """A feature per channel, [N, C]; the pattern has {} for the channel's name."""
        return observations[:, [self._column[pattern.format(c)] for c in self.channels]]

    def qualities(self, observations: Float32) -> Float32:
        """[N, K]."""
        names = [f"candidate_{j}_quality" for j in range(1, self.candidates + 1)]
        return observations[:, [self._column[name] for name in names]]


def default_actions(env: MessagingVectorEnv, observations: Float32) -> Int64:
    """What exact pacer and quality ranker do, from observations and the pacer's own coins, [N]."""
    seen, population = Columns(env), env.population
    channel = seen.per_channel(observations, "slot_is_{}").argmax(axis=1)
    left = seen.per_channel(observations, "{}_plan_left")[np.arange(env.num_envs), channel]
    times = population.weeks.astype(np.int64) * env.world.slots_per_week + population.slot
    words = random_words(env.luck_seed, 0, population.members, times, Domain.PACER)
    coins = (words >> 8).astype(np.float32) * np.float32(2**-24)
    send = coins * seen.one(observations, "slots_left") < left
    return np.where(send, seen.qualities(observations).argmax(axis=1) + 1, 0)
