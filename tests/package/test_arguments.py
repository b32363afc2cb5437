"""Arguments of public functions: world names are taken, and what is not allowed is refused."""

import gymnasium as gym
import numpy as np
import pytest
from numpy.testing import assert_array_equal

import slowfast_rl as sf
from slowfast_rl.envs import MessagingVectorEnv, PacingVectorEnv
from slowfast_rl.fast import PacedExecutor
from slowfast_rl.members.observations import opportunity_observation
from tests.agents.own_parts import OwnSinglePolicy

ENVIRONMENTS = [MessagingVectorEnv, PacingVectorEnv]
SMALL = sf.EvaluationProtocol(num_members=8, weeks=2, burn_in=1, streams=(0,))


def refused(call, message):
    with pytest.raises(ValueError, match=message) as raised:
        call()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("value", [1.5, 2.0, "3", True, np.float64(2), None])
@pytest.mark.parametrize("make", ENVIRONMENTS)
def test_environments_take_whole_numbers_only(make, value):
    names = ["num_envs", "weeks", "population_seed"]
    names += [] if value is None else ["max_episode_steps", "luck_seed", "first_member"]
    for name in names:
        refused(lambda name=name: make(**{"num_envs": 2, name: value}), f"{name} is .*; allowed is")


@pytest.mark.parametrize("make", ENVIRONMENTS)
def test_environments_take_the_whole_numbers_of_numpy(make):
    given = {"weeks": np.int64(3), "population_seed": np.uint32(4), "first_member": np.int32(5)}
    env = make(np.int64(2), max_episode_steps=np.int16(9), luck_seed=np.int64(7), **given)
    observations, _ = env.reset()
    assert observations.shape == (2, env.single_observation_space.shape[0])
    assert (env.population.members == [5, 6]).all()


@pytest.mark.parametrize("make", ENVIRONMENTS)
def test_a_render_mode_that_does_not_exist_is_refused(make):
    refused(lambda: make(2, render_mode="typo"), "render_mode is 'typo'; allowed: ansi, rgb_array")


@pytest.mark.parametrize("executor", [PacedExecutor, "coin", 3])
def test_what_is_no_executor_is_refused(executor):
    refused(lambda: PacingVectorEnv(2, executor=executor), "executor is .*; allowed is")
    refused(lambda: gym.make("slowfast_rl/Pacing-v0", executor=executor), "executor is .*; allowed")


@pytest.mark.parametrize("value", [1.5, "3", True])
def test_populations_protocols_and_budgets_take_whole_numbers_only(value):
    refused(lambda: sf.Population("pronounced", value), "num_members is .*; allowed is")
    refused(lambda: sf.Population("pronounced", 4, value), "population_seed is .*; allowed is")
    for name in ("num_members", "weeks", "burn_in", "population_seed", "luck_seed"):
        refused(lambda name=name: sf.EvaluationProtocol(**{name: value}), f"{name} is .*; allowed")
    agent = sf.SlowFastAgent()
    message = "total_opportunities is .*; allowed is a whole number above 0"
    refused(lambda: agent.learn("pronounced", total_opportunities=value), message)


def test_a_world_is_given_by_its_name_wherever_one_is_taken():
    world = sf.load_world("pronounced")
    named = sf.Population("pronounced", 4)
    assert named.world == world
    assert_array_equal(sf.weekly_observation(named), sf.weekly_observation(sf.Population(world, 4)))
    alone = sf.SinglePolicyAgent(OwnSinglePolicy()).learn("pronounced")
    assert alone.world == world
    planner = sf.slow.FixedPlanner(world, (2, 1))
    agent = sf.SlowFastAgent(planner, PacedExecutor())
    assert agent.learn("pronounced").world == world
    assert [turn.level for turn in agent.turns("pronounced")] == ["fast"]
    threshold = sf.ThresholdAgent(
        sf.fast.UpliftRanker(num_members=64, weeks=6), num_members=16, weeks=2
    )
    assert threshold.learn("pronounced").world == world
    board = sf.compare([agent, alone, "never"], "pronounced", SMALL, progress=False)
    assert board.world == world
    refused(lambda: sf.Population("prono", 4), "unknown world 'prono'; allowed: ")
    refused(lambda: sf.Population(3, 4), "world is 3; allowed is a World, or the name or path of")
    refused(lambda: sf.compare([agent], 3), "world is 3; allowed is a World, or the name or path")


@pytest.mark.parametrize(
    ("ids", "now", "name"),
    [([1.9, 2.0], 0, "entity_ids"), ([1, 2], 0.5, "now"), ([1, 2, 3], 0, "entity_ids"),
     ([True, False], 0, "entity_ids")],
)  # fmt: skip
def test_a_single_policy_refuses_ids_and_times_that_are_no_whole_numbers(ids, now, name):
    agent = sf.SinglePolicyAgent(OwnSinglePolicy()).learn("pronounced")
    observations = opportunity_observation(sf.Population(agent.world, 2))
    refused(lambda: agent.predict(observations, entity_ids=ids, now=now), f"{name} is .* of shape")
    agent.predict(observations, entity_ids=7, now=[0, 3600])
