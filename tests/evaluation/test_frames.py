"""Tables of leaderboards, observations and plans."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import slowfast_rl as sf
from tests.evaluation.cases import TINY, references, small_world, twins


@pytest.fixture(scope="module")
def board():
    names = ["never", "always", "oracle"]
    world = small_world()
    return sf.compare(
        names, world, TINY, references=references(), twins=twins(), progress=False
    )  # fmt: skip


def test_a_leaderboard_is_a_table_with_the_best_agent_first(board):
    frame = board.to_frame()
    assert list(frame["return"]) == sorted(frame["return"], reverse=True)
    for name in ("never", "always"):
        row = board.row(name)
        assert frame.loc[name, "return"] == row["return"]
        assert frame.loc[name, "return_low"] == row["return_ci95"][0]
        assert frame.loc[name, "push_sends_per_week"] == row["sends_per_week"]["push"]
    assert "by_segment" not in frame
    assert np.isnan(frame.loc["never", "paired_low"])


def test_numbers_that_are_missing_leave_columns_of_numbers():
    board = sf.compare(["never"], small_world(), TINY, twins=twins(), progress=False)
    frame = board.to_frame()
    for name in ("gap_closed", "gap_closed_low", "paired_diff", "push_open_rate"):
        assert frame[name].dtype == float
        assert frame[name].isna().all()


def test_a_notebook_shows_the_leaderboard_as_a_table_and_the_rest_in_one_line(board):
    assert board._repr_html_().startswith("<div>")
    world = small_world()
    population = sf.Population(world, 8)
    agent = sf.SlowFastAgent(sf.slow.UtilityPlanner(window=5), sf.fast.PacedExecutor())
    for thing in (
        board,
        world,
        population,
        agent,
        agent.slow,
        board.rollouts["never"],
        references(),
    ):
        assert len(repr(thing)) < 250
        assert "\n" not in repr(thing)
    assert repr(agent.slow) == "UtilityPlanner(window=5)"
    assert repr(agent.fast) == "PacedExecutor(pacer=ExactPacer(), ranker=QualityRanker())"
    assert repr(population) == "<Population of 8 members in pronounced, 8 alive, week 0>"


def test_observations_become_a_table_by_their_features():
    world = small_world()
    population = twins().starts[0]
    observations = sf.weekly_observation(population)
    frame = sf.to_frame(observations, sf.weekly_features(world), population.members)
    assert list(frame) == [feature.name for feature in sf.weekly_features(world)]
    assert_array_equal(frame.to_numpy(), observations)
    assert_array_equal(frame.index, population.members)
    with pytest.raises(ValueError, match="allowed is one column for each of the"):
        sf.to_frame(observations[:, :3], sf.weekly_features(world))


def test_the_plan_table_shows_what_the_planner_sees_chooses_and_how_it_scores_plans():
    world = small_world()
    planner = sf.slow.UtilityPlanner(num_members=64, weeks=4, window=2)
    agent = sf.SlowFastAgent(planner, sf.fast.PacedExecutor()).learn(world, seed=1)
    population = twins().starts[0]
    frame = agent.plan_table(population)
    assert_array_equal(frame.index, population.members[population.alive])
    observed = sf.weekly_observation(population)[population.alive]
    assert_array_equal(frame.iloc[:, : observed.shape[1]].to_numpy(), observed)
    scores = frame[[f"score {name}" for name in world.plan_names]].to_numpy()
    assert_allclose(scores, planner.utilities(observed), rtol=1e-5)
    opted_in = population.opted_in[population.alive].all(axis=1)
    best = world.plans[scores.argmax(axis=1)]
    chosen = frame[["plan_push", "plan_email"]].to_numpy()
    assert_array_equal(chosen[opted_in], best[opted_in])


def test_the_plan_table_includes_beliefs_where_the_planner_has_them():
    world = small_world()
    planner = sf.slow.RolloutPlanner(beliefs=True).prepare(world)
    agent = sf.SlowFastAgent(planner, sf.fast.PacedExecutor())
    population = sf.Population(world, 4, belief_filter=planner.belief_filter)
    frame = agent.plan_table(population)
    assert {feature.name for feature in planner.belief_filter.features} <= set(frame)
    assert not [name for name in frame if name.startswith("score")]  # not trained yet
    with pytest.raises(ValueError, match="the population keeps none"):
        agent.plan_table(sf.Population(world, 4))


def test_an_agent_without_a_planner_has_no_plan_table():
    with pytest.raises(ValueError, match="has no planner; allowed is an agent that plans"):
        sf.ThresholdAgent().plan_table(sf.Population(small_world(), 2))


def test_plans_are_named_by_their_sends():
    assert small_world().plan_names[:3] == (
        "0 push + 0 email",
        "0 push + 1 email",
        "2 push + 0 email",
    )
