"""The exploring executor of simulations has the same probabilities as the one that serves."""

import numpy as np
import pytest

import slowfast_rl as sf
from slowfast_rl.fast.exploring_simulation import for_simulation
from slowfast_rl.policies.simulate import run_plans
from tests.members.worlds import world

MEMBERS = 12_000


def week(w, executor):
    population = sf.Population(w, MEMBERS, 3, 3, reward="sampled")
    ended = run_plans(population, population.members % len(w.plans), executor)
    columns = (ended.sends, ended.opens, ended.dismissals)
    return np.concatenate([*columns, ended.viewing_days[:, None]], axis=1).astype(np.float64)


@pytest.mark.parametrize("pacer", [sf.fast.ExactPacer, sf.fast.CoinPacer])
@pytest.mark.parametrize("name", ["pronounced", "in_app"])
def test_a_week_has_the_same_means(name, pacer):
    executor = sf.fast.ExploringExecutor(sf.fast.PacedExecutor(pacer()), explore=0.6)
    w = world(name)
    simulated = for_simulation(executor)
    assert simulated is not executor
    one, other = week(w, executor), week(w, simulated)
    spread = np.sqrt((one.var(axis=0) + other.var(axis=0)) / MEMBERS) + 1e-9
    assert (np.abs(one.mean(axis=0) - other.mean(axis=0)) < 4 * spread).all()
    assert not np.array_equal(one, other)


def test_without_exploration_the_bits_are_those_of_the_executor():
    executor = sf.fast.PacedExecutor(sf.fast.CoinPacer())
    simulated = for_simulation(sf.fast.ExploringExecutor(executor, explore=0.0))
    w = world("in_app")
    assert np.array_equal(week(w, executor), week(w, simulated))


def test_exploration_is_seen_in_what_is_sent():
    w = world("pronounced")
    explored, not_at_all = (
        week(w, for_simulation(sf.fast.ExploringExecutor(explore=share))) for share in (1.0, 0.0)
    )
    opens = slice(2, 4)
    assert explored[:, opens].mean() < 0.9 * not_at_all[:, opens].mean()


def test_other_executors_stay_as_they_are():
    executor = sf.fast.PacedExecutor()
    assert for_simulation(executor) is executor
    assert for_simulation(None) is None
