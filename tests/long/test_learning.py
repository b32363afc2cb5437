"""Training that takes minutes, on members that no evaluation uses."""

import pytest

import slowfast_rl as sf
from slowfast_rl.evaluation.contestants import agent_contestants
from slowfast_rl.evaluation.statistics import mean_interval
from slowfast_rl.evaluation.twins import Twins
from slowfast_rl.slow import FixedPlanner, UtilityPlanner

PROTOCOL = sf.EvaluationProtocol(population_seed=5, luck_seed=5)

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def twins():
    return Twins(sf.load_world("pronounced"), PROTOCOL)


@pytest.fixture(scope="module")
def agent(twins):
    return sf.SlowFastAgent().learn(twins.world, total_opportunities=30_000_000, seed=0)


def test_the_trained_agent_beats_never_always_random_and_itself_untrained(agent, twins):
    entrants = [*agent_contestants(agent, twins.world), "never", "always", "random"]
    board = sf.compare(entrants, twins.world, PROTOCOL, twins=twins, progress=False)
    for name in (f"{agent.name}_untrained", "never", "always", "random"):
        assert board.row(name)["paired_ci95"][1] < 0, name


def test_the_agents_plans_are_worth_more_to_their_members_than_to_others(agent, twins):
    own, dealt = agent_contestants(agent, twins.world)[:2]
    board = sf.compare([own, dealt], twins.world, PROTOCOL, twins=twins, progress=False)
    assert board.row(dealt.name)["paired_ci95"][1] < 0


def test_the_learned_ranker_beats_quality_only_at_a_fixed_plan(agent, twins):
    planner = FixedPlanner(twins.world, (3, 1))
    learned = twins.rollout(planner, agent.fast).returns
    assert mean_interval(learned - twins.rollout(planner).returns).low > 0


@pytest.mark.parametrize("seed", [0, 1])
def test_the_utility_planner_beats_the_best_fixed_plan(seed, twins):
    planner = UtilityPlanner().learn(twins.world, seed=seed)
    fixed = twins.rollout(FixedPlanner(twins.world, (5, 2))).returns
    assert mean_interval(twins.rollout(planner).returns - fixed).low > 2
