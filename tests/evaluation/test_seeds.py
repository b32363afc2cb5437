"""Statistics over training seeds."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import slowfast_rl as sf
from slowfast_rl.evaluation import plots
from slowfast_rl.evaluation.seeds import (
    Group,
    groups,
    interquartile_mean,
    probability_of_improvement,
    statistics_over_seeds,
)
from tests.evaluation.cases import TINY, small_world, twins

SEGMENTS = np.arange(300) % 3


def row(name, seed, group, opportunities=100):
    return {"name": name, "seeds": [seed], "group": group, "train_opportunities": opportunities}


def test_agents_that_differ_in_their_seed_alone_are_a_group():
    rows = [row("a,seed=1", 1, "x"), row("b", 0, "y"), row("a,seed=0", 0, "x"), row("c", 0, None)]
    assert groups(rows) == ([Group("a", ("a,seed=0", "a,seed=1"), (0, 1))], {})


def test_agents_of_other_budgets_and_equal_seeds_are_no_group():
    alone = "no other seed was trained for about {} opportunities"
    found, left_out = groups([row("a", 0, "x"), row("a_2", 1, "x", 126)])
    assert (found, left_out) == ([], {"a": alone.format(100), "a_2": alone.format(126)})
    found, left_out = groups([row("a", 0, "x"), row("a_2", 0, "x")])
    assert found == []
    assert left_out == {"a_2": "it was trained with seed 0, as a", "a": alone.format(100)}


def test_a_seed_that_is_there_twice_counts_once():
    found, left_out = groups([row("a", 0, "x"), row("a_2", 0, "x"), row("b", 1, "x")])
    assert found == [Group("a", ("a", "b"), (0, 1), ("a_2",))]
    assert left_out == {"a_2": "it was trained with seed 0, as a"}


def test_a_run_of_another_budget_leaves_the_group_of_the_others():
    rows = [row("a", 0, "x"), row("b", 1, "x", 120), row("long", 2, "x", 10_000)]
    found, left_out = groups(rows)
    assert found == [Group("a", ("a", "b"), (0, 1))]
    assert left_out == {"long": "no other seed was trained for about 10,000 opportunities"}
    found, _ = groups([*rows, row("longer", 3, "x", 11_000)])
    assert [group.agents for group in found] == [("a", "b"), ("long", "longer")]


def test_groups_of_one_name_are_told_apart():
    rows = [
        row(f"a,seed={seed}{end}", seed, recipe)
        for recipe, end in (("x", ""), ("y", "_2"))
        for seed in (0, 1)
    ]
    assert [group.name for group in groups(rows)[0]] == ["a", "a_2"]
    other = row("a", 0, "z")
    assert [group.name for group in groups([*rows, other])[0]] == ["a_2", "a_3"]


def test_groups_of_one_name_have_their_own_statistics_and_colours():
    world = small_world()
    agents = [
        sf.SlowFastAgent(
            sf.slow.UtilityPlanner(num_members=64, weeks=4, window=2, message_cost=cost),
            sf.fast.PacedExecutor(),
        ).learn(world, seed=seed)
        for cost in (0.0, 0.5)
        for seed in (0, 1)
    ]
    board = sf.compare([*agents, "never"], world, TINY, twins=twins(), progress=False)
    free, costly = board.groups
    assert free["name"] != costly["name"]
    for group in board.groups:
        returns = [board.row(name)["return"] for name in group["agents"]]
        assert_allclose(group["iqm"], np.mean(returns))
    assert free["iqm"] != costly["iqm"]
    drawn = plots.long_term(board, [*free["agents"], *costly["agents"]]).lines[:4]
    colours = [line.get_color() for line in drawn]
    assert colours[0] == colours[1] != colours[2] == colours[3]


@pytest.mark.parametrize("sizes", [(1, 1, 2), (2, 1, 1), (1, 2, 1), (1, 1, 0), (0, 1, 4)])
def test_few_members_have_statistics_too(sizes):
    segments = np.repeat(np.arange(3), sizes)
    members = np.arange(float(len(segments)))
    (group,) = statistics_over_seeds(
        [Group("a", ("a", "b"), (0, 1))], {"a": members, "b": members + 1}, members, segments
    )
    assert_allclose(group["iqm_lead"], 0.5)
    assert np.isfinite(group["iqm_ci95"]).all()


def test_the_interquartile_mean_is_the_mean_of_the_middle_half():
    assert interquartile_mean(np.array([0.0, 1, 2, 100])) == 1.5
    assert interquartile_mean(np.array([0.0, 1, 5])) == 2  # of all, below four seeds


def test_the_probability_of_improvement_counts_pairs_and_half_of_ties():
    assert probability_of_improvement(np.array([2.0, 3]), np.array([1.0, 2])) == 0.875
    assert probability_of_improvement(np.array([1.0]), np.array([2.0])) == 0


def test_intervals_grow_with_the_spread_of_seeds_and_of_members():
    rng = np.random.default_rng(0)
    members = rng.normal(0, 1, 300)
    returns = {"a0": members, "a1": members + 1, "b0": members + 5, "b1": members + 5}
    pairs = [Group("a", ("a0", "a1"), (0, 1)), Group("b", ("b0", "b1"), (0, 1))]
    a, b = statistics_over_seeds(pairs, returns, members, SEGMENTS)
    assert_allclose(a["iqm"], members.mean() + 0.5)
    assert_allclose(a["iqm_ci95_of_seeds"], [members.mean(), members.mean() + 1])
    assert_allclose(b["iqm_ci95_of_seeds"], [members.mean() + 5] * 2)  # seeds do not differ
    half = 1.96 * members.std() / 300**0.5
    assert_allclose(np.diff(b["iqm_ci95"]) / 2, half, rtol=0.1)  # members alone
    assert np.diff(a["iqm_ci95"]) > np.diff(a["iqm_ci95_of_seeds"])
    assert_allclose([a["iqm_lead"], *a["iqm_lead_ci95"]], [0.5, 0, 1])  # members do not matter
    assert b["probability_of_improvement"]["a"] == [1, 1, 1]
    assert_allclose(a["std_of_seeds"], 0.5**0.5)


def test_the_same_members_are_drawn_for_both_groups():
    members = np.random.default_rng(1).normal(0, 100, 300)
    returns = {name: members + i for i, name in enumerate(("a0", "a1", "b0", "b1"))}
    pairs = [Group("a", ("a0", "a1"), (0, 1)), Group("b", ("b0", "b1"), (0, 1))]
    _, b = statistics_over_seeds(pairs, returns, members, SEGMENTS)
    assert b["probability_of_improvement"]["a"] == [1, 1, 1]  # although members differ by far more


@pytest.mark.parametrize("settings", [{"num_members": 64, "weeks": 4, "window": 2}])
def test_a_comparison_groups_trained_agents_by_their_recipe(settings):
    world = small_world()

    def trained(seed, **more):
        planner = sf.slow.UtilityPlanner(**(settings | more))
        return sf.SlowFastAgent(planner, sf.fast.PacedExecutor()).learn(world, seed=seed)

    agents = [trained(0), trained(1), trained(2, message_cost=0.5)]
    board = sf.compare([*agents, "never"], world, TINY, twins=twins(), progress=False)
    (group,) = board.groups
    assert group["seeds"] == [0, 1]
    assert group["name"] == "utility+quality"
    returns = [board.row(name)["return"] for name in group["agents"]]
    assert_allclose(group["iqm"], np.mean(returns))
    assert board.to_json()["groups"] == board.groups


def test_fixed_plans_that_differ_are_no_group():
    world = small_world()

    def fixed(seed, plan):
        agent = sf.SlowFastAgent(sf.slow.FixedPlanner(world, plan), sf.fast.PacedExecutor())
        return agent.learn(world, seed=seed)

    assert fixed(0, (2, 0)).recipe() == fixed(1, (2, 0)).recipe()
    assert fixed(0, (2, 0)).recipe() != fixed(1, (5, 1)).recipe()
