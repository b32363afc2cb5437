"""Copies of agents: what tells one recipe from another, and the agent before its training."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from slowfast_rl.agents import SinglePolicyAgent, SlowFastAgent, ThresholdAgent
from slowfast_rl.fast import ExactPacer, PacedExecutor, PPOExecutor
from slowfast_rl.policies.contracts import BasePacer
from slowfast_rl.slow import FixedPlanner, RandomPlanner, UtilityPlanner
from tests.slow.cases import small_world, tiny_planner, tiny_rollouts

TINY = {"num_envs": 16, "weeks": 3, "n_steps": 8, "batch_size": 64, "hidden": 8}


class Given(BasePacer):
    """Has parameters that it was given and does not learn."""

    name = "given"

    def __init__(self, parameters) -> None:
        super().__init__()
        self.parameters = parameters

    @staticmethod
    def pace(opportunity, plan_rows, pacing):
        return -np.inf, pacing[1], 1.0


def recipe(slow, pacer=None):
    agent = SlowFastAgent(slow, PacedExecutor(pacer))
    agent.world = small_world()
    return agent.recipe()


def test_agents_that_were_given_something_else_have_other_recipes():
    w = small_world()
    assert recipe(FixedPlanner(w, (2, 7))) == recipe(FixedPlanner(w, (2, 7)))
    assert recipe(FixedPlanner(w, (2, 7))) != recipe(FixedPlanner(w, (14, 0)))
    assert recipe(RandomPlanner(1)) != recipe(RandomPlanner(2))
    fixed = FixedPlanner(w, (2, 7))
    assert recipe(fixed, Given([0.5])) == recipe(fixed, Given([0.5]))
    assert recipe(fixed, Given([0.5])) != recipe(fixed, Given([0.6])) != recipe(fixed, ExactPacer())


def test_trainings_with_other_seeds_have_one_recipe():
    w, recipes = small_world(), []
    for seed in (1, 2):
        agent = SlowFastAgent(tiny_planner(), PacedExecutor())
        recipes.append(agent.learn(w, total_opportunities=5000, seed=seed).recipe())
    assert recipes[0] == recipes[1]


@pytest.mark.parametrize("budget", [500, 60000])
def test_the_planner_before_training_is_the_one_that_training_began_with(budget):
    w, begun = small_world(), []
    agent = SlowFastAgent(tiny_planner(), PacedExecutor(), turns=["slow", "slow"])
    agent.learn(
        w, total_opportunities=budget, seed=5, progress=lambda _: begun.append(agent.slow.state())
    )
    copy = agent.untrained_copy(w)
    for name, array in copy.slow.state().items():
        assert_array_equal(array, begun[0][name], err_msg=name)
    assert copy.order == agent.order == ("slow", "slow")


@pytest.mark.parametrize("budget", [500, 60000])
def test_the_policy_before_training_is_the_one_that_training_began_with(budget):
    w, begun = small_world(), []
    agent = SinglePolicyAgent(PPOExecutor(planned=False, **TINY), name="alone")
    agent.learn(
        w, total_opportunities=budget, seed=5, progress=lambda _: begun.append(agent.fast.state())
    )
    copy = agent.untrained_copy(w)
    for name, array in copy.fast.state().items():
        assert_array_equal(array, begun[0][name], err_msg=name)
    assert (type(copy), copy.name, copy.seed) == (SinglePolicyAgent, "alone", 5)


def test_a_copy_has_the_turns_of_its_agent_that_are_left():
    w = small_world()
    utility = UtilityPlanner(num_members=64, weeks=16)
    for slow, left in ((tiny_rollouts(), ("slow", "fast")), (utility, ("fast",))):
        agent = SlowFastAgent(slow, PacedExecutor(), turns=["slow", "fast"], name="mine")
        agent.seed = 3
        copy = agent.untrained_copy(w)
        assert copy.order == left  # the safe plan, as which utility begins, does not learn
        assert (copy.name, copy.seed, copy.world) == ("mine", 3, w)


def test_a_copy_is_of_the_class_of_its_agent():
    class Mine(SlowFastAgent):
        kind = "mine_of_copies"

    w = small_world()
    assert type(Mine(tiny_rollouts(), PacedExecutor()).untrained_copy(w)) is Mine
    copy = ThresholdAgent(sends_per_week=3).untrained_copy(w)
    assert (copy.settings.sends_per_week, copy.threshold) == (3, 0)
