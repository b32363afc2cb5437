"""Who learns when, and what may be asked of a level before it has learned."""

import pytest

from slowfast_rl.agents import SlowFastAgent
from slowfast_rl.fast import PPOExecutor
from slowfast_rl.slow import FixedPlanner, PPOPlanner, SegmentsPlanner, UtilityPlanner
from tests.slow.cases import budget, small_world, tiny_planner, tiny_rollouts

TINY = {"num_envs": 16, "weeks": 3, "n_steps": 8, "batch_size": 64, "hidden": 8}


@pytest.mark.parametrize("turns", [["fast", "slow"], ["fast"]])
@pytest.mark.parametrize("planner", [PPOPlanner, UtilityPlanner, SegmentsPlanner])
def test_an_executor_that_learns_from_plans_is_refused_before_a_planner_without_plans(
    planner, turns
):
    message = r"turns are \['fast'.*allowed is slow before fast"
    with pytest.raises(ValueError, match=message) as raised:
        SlowFastAgent(planner(), PPOExecutor(**TINY), turns=turns)
    assert "\n" not in str(raised.value)


def test_an_executor_may_learn_first_from_a_planner_that_has_plans():
    world = small_world()
    trained = tiny_planner()
    trained.learn(world, total_opportunities=budget(trained, world), seed=1)
    for planner in (tiny_rollouts(), trained):
        assert (
            SlowFastAgent(planner, PPOExecutor(**TINY), turns=["fast", "slow"]).order[0] == "fast"
        )
    assert SlowFastAgent(FixedPlanner(world, (2, 7)), PPOExecutor(**TINY)).order == ("fast",)


def test_progress_is_told_of_the_turns_that_have_a_budget():
    world, seen = small_world(), []
    agent = SlowFastAgent(UtilityPlanner(num_members=64, weeks=16), PPOExecutor(**TINY))
    agent.learn(world, total_opportunities=8000, progress=seen.append)
    assert 0 < seen[-1] <= agent.fast.opportunities
    assert agent.slow.opportunities > max(seen)
