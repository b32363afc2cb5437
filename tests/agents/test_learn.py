import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from slowfast_rl.agents import SlowFastAgent
from slowfast_rl.evaluation import EvaluationProtocol, Twins
from slowfast_rl.fast import AffinityRanker, BidPricePacer, PacedExecutor
from slowfast_rl.fast.affinity import UNTRAINED
from slowfast_rl.slow import FixedPlanner
from tests.slow.cases import budget, small_world, tiny_planner, tiny_rollouts

ROLLOUT = 32 * 4 * 21


def short_ranker():
    """Learns from few logs."""
    return AffinityRanker(num_members=48, weeks=12)


def tiny_agent():
    return SlowFastAgent(tiny_planner(), PacedExecutor(ranker=short_ranker()))


def learned(agent):
    return agent.fast.ranker.learned, agent.slow.state()


def assert_same(one, other):
    assert one[0] == other[0]
    for name, array in one[1].items():
        assert_array_equal(array, other[1][name], err_msg=name)


def logged(agent):
    """Return the opportunities played for the ranker's logs."""
    assert agent.fast.ranker.opportunities > 0
    return agent.fast.ranker.opportunities


def test_the_same_seed_trains_the_same_agent_whether_or_not_it_is_evaluated_in_between():
    world, seen = small_world(), []
    twins = Twins(world, EvaluationProtocol(num_members=8, weeks=2, burn_in=1, streams=(0,)))
    quiet, watched = tiny_agent(), tiny_agent()
    total = budget(quiet.slow, world)
    quiet.learn(world, total_opportunities=total, seed=2)

    def evaluate(opportunities):
        seen.append((opportunities, watched.train_opportunities, watched.slow.policy_version))
        twins.rollout(watched.slow, watched.fast)
        watched.untrained_copy(world)
        torch.rand(3)

    watched.learn(world, total_opportunities=total, seed=2, progress=evaluate)
    logs, ages = logged(watched), total - 4 * ROLLOUT
    played = [ages + k * ROLLOUT for k in range(4)]
    assert seen == [(count, logs + count, 1) for count in played]
    assert_same(learned(quiet), learned(watched))


def test_learning_again_starts_anew():
    world, agent = small_world(), tiny_agent()
    total = budget(agent.slow, world)
    agent.learn(world, total_opportunities=total, seed=2)
    first = learned(agent)
    agent.learn(world, total_opportunities=total, seed=2)
    assert_same(first, learned(agent))
    assert agent.train_opportunities == logged(agent) + total


def test_an_agent_may_be_saved_while_it_learns(tmp_path):
    world, agent = small_world(), tiny_agent()
    total = budget(agent.slow, world)
    agent.learn(world, total_opportunities=total, progress=lambda _: agent.save(tmp_path / "a.zip"))
    kept = SlowFastAgent.load(tmp_path / "a.zip")
    assert kept.train_opportunities == logged(agent) + total - ROLLOUT
    assert 0 < kept.train_cpu_seconds < agent.train_cpu_seconds


@pytest.mark.parametrize("plans_for", ["default", "own"])
def test_an_untrained_copy_is_what_training_began_with(plans_for):
    world, agent, begun = small_world(), tiny_agent(), []
    agent.plans_for = plans_for
    agent.learn(
        world,
        total_opportunities=budget(agent.slow, world),
        seed=5,
        progress=lambda _: begun.append(agent.slow.state()),
    )
    copy = agent.untrained_copy(world)
    assert copy.fast.ranker.learned == UNTRAINED
    assert agent.fast.ranker.learned != UNTRAINED
    assert copy.plans_for == plans_for
    assert_same((0, begun[0]), (0, copy.slow.state()))


def test_a_planner_that_plans_for_its_own_executor_learns_something_else():
    world, weights = small_world(), []
    for plans_for in ("default", "own"):
        agent = SlowFastAgent(
            tiny_rollouts(), PacedExecutor(ranker=short_ranker()), plans_for=plans_for
        ).learn(world, total_opportunities=1, seed=5)
        weights.append(agent.slow.state())
    alone = tiny_rollouts().learn(world, total_opportunities=1, seed=5).state()
    assert_same((0, weights[0]), (0, alone))
    assert any(not np.array_equal(weights[1][name], alone[name]) for name in alone)
    with pytest.raises(ValueError, match="plans_for is 'theirs'; allowed: default, own"):
        SlowFastAgent(plans_for="theirs")


def test_an_agent_of_rollouts_learns_and_counts_all_that_was_played_for_it():
    world, seen = small_world(), []
    agent = SlowFastAgent(tiny_rollouts(), PacedExecutor(ranker=short_ranker()))
    agent.learn(world, total_opportunities=1, progress=lambda played: seen.append(played))
    logs = agent.fast.ranker.opportunities
    assert agent.train_opportunities == logs + agent.slow.opportunities
    assert seen[-1] == agent.slow.opportunities
    assert agent.train_cpu_seconds > agent.slow.cpu_seconds > 0


def test_a_wrong_budget_is_refused_before_anything_is_learned():
    agent = tiny_agent()
    for budgets, message in (
        ({"total_opportunities": 1, "total_cpu_seconds": 1}, "exactly one of them is needed"),
        ({"total_opportunities": 0}, "total_opportunities is 0; allowed is above 0"),
    ):
        with pytest.raises(ValueError, match=message):
            agent.learn(small_world(), **budgets)
    assert agent.fast.ranker.learned == UNTRAINED
    assert agent.world is None


def test_a_planner_that_does_not_learn_needs_no_budget():
    world = small_world()
    agent = SlowFastAgent(FixedPlanner(world, (2, 7)), PacedExecutor(ranker=short_ranker())).learn(
        world
    )
    assert agent.fast.ranker.learned != UNTRAINED
    assert agent.train_opportunities == agent.fast.ranker.opportunities > 0
    assert agent.train_cpu_seconds > 0


def test_a_bid_price_pacer_learns_the_scores_of_the_ranker_that_was_just_learned():
    world = small_world()
    agent = SlowFastAgent(
        FixedPlanner(world, (2, 7)), PacedExecutor(BidPricePacer(), short_ranker())
    )
    agent.learn(world, seed=4)
    ranker, pacer = agent.fast.ranker, agent.fast.pacer
    assert pacer.quantiles == BidPricePacer().learn(world, ranker, seed=4).quantiles
    assert agent.train_opportunities == ranker.opportunities + pacer.opportunities
    assert pacer.opportunities > 0
    copy = agent.untrained_copy(world)
    assert copy.fast.pacer.quantiles == ()
    assert pacer.quantiles != ()


def test_the_planner_trains_on_members_and_luck_of_the_seed():
    one, other = (
        tiny_agent().learn(small_world(), total_opportunities=1, seed=seed) for seed in (1, 2)
    )
    assert one.fast.ranker.learned != other.fast.ranker.learned
    centre = "features_extractor.centre"
    assert not np.array_equal(one.slow.state()[centre], other.slow.state()[centre])
