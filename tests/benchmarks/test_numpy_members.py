"""The model in NumPy, given a population's random numbers, has that population's members."""

import numpy as np
import pytest

from slowfast_rl.benchmarks.numpy_members import GeneratorLuck, NumpyMembers
from slowfast_rl.members.dynamics import candidate
from slowfast_rl.members.population import Population
from slowfast_rl.members.random import Domain, philox
from slowfast_rl.members.state import DISMISSALS, LAST, OPENS, OPT_OUTS, SENDS
from slowfast_rl.policies import default_executor
from tests.members.worlds import world

MEMBERS, WEEKS, SEED = 96, 6, 7


class CountedLuck:
    """The random numbers of a population, as float32 in [0, 1)."""

    def __init__(self, population: Population) -> None:
        self.members, self.topics = population.members, population.world.num_topics

    def words(self, domain: Domain, time: int, count: int, rows: np.ndarray) -> np.ndarray:
        blocks = range(-(-count // 4))
        words = [
            [w for k in blocks for w in philox(SEED, 0, member, time, k, int(domain))]
            for member in self.members[rows]
        ]
        return np.array(words, np.uint32).reshape(len(rows), -1).T[:count]

    def uniforms(self, domain, time, count, rows):
        rows = np.arange(len(self.members)) if rows is None else rows
        return (self.words(domain, time, count, rows) >> 8).astype(np.float32) * np.float32(2**-24)

    def candidates(self, time, count, rows):
        words = self.words(Domain.CANDIDATE, time, count, rows)
        found = [[candidate(self.topics, word) for word in line] for line in words]
        pairs = np.array(found, float).reshape(count, len(rows), 2)
        return pairs[..., 0].astype(int), pairs[..., 1].astype(np.float32)


@pytest.mark.parametrize("name", ["pronounced", "eventful", "in_app"])
def test_members_in_numpy_are_those_of_a_population_with_the_same_random_numbers(name):
    population = Population(world(name), MEMBERS, population_seed=2, luck_seed=SEED)
    members = NumpyMembers(population, CountedLuck(population))
    plans = population.world.plans[
        np.random.default_rng(0).integers(len(population.world.plans), size=(WEEKS, MEMBERS))
    ]
    same = np.ones(MEMBERS, bool)
    sends = 0.0
    for plan in plans:
        week = default_executor().run_week(population, plan)
        reward = members.run_week(plan)
        log = population.simulation.log.by_channel
        events = [log[:, :, event + LAST].T for event in (SENDS, OPENS, DISMISSALS, OPT_OUTS)]
        living = population.alive
        state = population.simulation.state
        same &= np.isclose(reward, week.reward, atol=1e-4)
        same &= living == members.alive
        for ours, theirs in (
            (members.H, state.habit), (members.G, state.goodwill), (members.F, state.fatigue.T),
            (members.O, state.opted_in.T), (members.counts[:, 1], np.array(events)),
            (members.counts[:, 2], log[:, :, 2:16:4].T),
            (members.topic_sent, population.simulation.log.by_topic[:, :, 2].T),
            (members.viewing_days[1], population.simulation.log.by_member[:, LAST]),
        ):  # fmt: skip
            equal = np.isclose(ours, theirs, atol=1e-4).reshape(-1, MEMBERS).all(axis=0)
            same &= equal | ~living
        sends += float(week.sends.sum())
    # A uniform number next to its probability may fall on either side of it in float32.
    assert same.mean() > 0.97
    assert sends > MEMBERS


def test_with_random_numbers_of_its_own_it_has_the_populations_mean_reward():
    population = Population(world("pronounced"), 20_000, 2, SEED)
    luck = GeneratorLuck(1, population.num_members, population.world.num_topics)
    members = NumpyMembers(population, luck)
    plan = np.tile(np.array([5, 2], np.int32), (population.num_members, 1))
    lead = 0.0
    for _ in range(4):
        lead += members.run_week(plan) - default_executor().run_week(population, plan).reward
    assert abs(lead.mean()) < 4 * lead.std() / np.sqrt(len(lead))
    assert members.H.dtype == members.G.dtype == members.F.dtype == np.float32
