"""The exploring executor of simulations has the same probabilities as the one that serves."""

import numpy as np
import pytest

import slowfast_rl as sf
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
    simulated = executor.for_simulation()
    assert simulated is not executor
    one, other = week(w, executor), week(w, simulated)
    spread = np.sqrt((one.var(axis=0) + other.var(axis=0)) / MEMBERS) + 1e-9
    assert (np.abs(one.mean(axis=0) - other.mean(axis=0)) < 4 * spread).all()
    assert not np.array_equal(one, other)


def test_without_exploration_the_bits_are_those_of_the_executor():
    executor = sf.fast.PacedExecutor(sf.fast.CoinPacer())
    simulated = sf.fast.ExploringExecutor(executor, explore=0.0).for_simulation()
    w = world("in_app")
    assert np.array_equal(week(w, executor), week(w, simulated))


def test_exploration_is_seen_in_what_is_sent():
    w = world("pronounced")
    explored, not_at_all = (
        week(w, sf.fast.ExploringExecutor(explore=share).for_simulation()) for share in (1.0, 0.0)
    )
    opens = slice(2, 4)
    assert explored[:, opens].mean() < 0.9 * not_at_all[:, opens].mean()


def test_other_executors_stay_as_they_are():
    executor = sf.fast.PacedExecutor()
    assert executor.for_simulation() is executor


class Compiled(sf.fast.BaseExecutor):
    """An executor of a user's own that has a compiled policy."""

    name = "compiled"
    thread_safe = True

    def act(self, observations, masks, coins):
        raise AssertionError("the fused driver decides")

    def fast_policy(self, world, weights=None):
        return sf.fast.PacedExecutor().fast_policy(world, weights)


class Uncompiled(sf.fast.BaseExecutor):
    """An executor of a user's own that decides in Python and knows its probabilities."""

    name = "uncompiled"

    def act(self, observations, masks, coins):
        raise AssertionError("the executor that explores decides")

    def action_probabilities(self, world, obs, plan):
        return sf.fast.PacedExecutor().action_probabilities(world, obs, plan)


class LearnsAlone(Uncompiled):
    """An executor that learns, and wants nothing but the world."""

    name = "learns_alone"

    def learn(self, world):
        self.opportunities = 5
        return self

    def state(self):
        return {}

    @classmethod
    def from_state(cls, world, settings, state, **parts):
        return cls()


def test_the_executor_that_explores_learns_as_its_class_defines_it():
    assert sf.fast.ExploringExecutor(LearnsAlone()).learn(world("pronounced")).opportunities == 5
    with pytest.raises(ValueError, match="LearnsAlone cannot learn from a log"):
        sf.fast.ExploringExecutor(LearnsAlone()).learn_from_log(None)
    assert sf.fast.ExploringExecutor(Uncompiled()).learn_from_log(None).opportunities == 0


def test_exploration_needs_a_planner_where_the_executor_does():
    assert not sf.fast.ExploringExecutor().needs_plans
    assert sf.fast.ExploringExecutor(Uncompiled()).needs_plans


def test_an_executor_of_ones_own_explores_by_its_compiled_policy_or_slot_by_slot():
    w = world("pronounced")
    explores = {
        cls: sf.fast.ExploringExecutor(cls(), explore=0.5) for cls in (Compiled, Uncompiled)
    }
    built_in = sf.fast.ExploringExecutor(explore=0.5)
    assert np.array_equal(
        week(w, explores[Compiled].for_simulation()), week(w, built_in.for_simulation())
    )
    assert np.array_equal(week(w, explores[Uncompiled].for_simulation()), week(w, built_in))
    assert [e.for_simulation().thread_safe for e in explores.values()] == [True, False]
