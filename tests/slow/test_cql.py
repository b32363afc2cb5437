"""Conservative Q-learning on weekly plans; what trains needs the extra ``offline_rl``."""

from importlib.util import find_spec

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from slowfast_rl.agents import SlowFastAgent
from slowfast_rl.fast import PacedExecutor
from slowfast_rl.logs.histories import weekly_observations, weekly_table
from slowfast_rl.members.loading import load_world
from slowfast_rl.slow import CQLPlanner
from slowfast_rl.slow.weekly_steps import WeeklySteps, simulated_weekly_steps, weekly_steps_of
from tests.logs.learning import recorded
from tests.slow.cases import requests, small_world

trains = pytest.mark.skipif(find_spec("d3rlpy") is None, reason="needs d3rlpy (extra offline_rl)")
TINY = {"gradient_steps": 60, "hidden": 16, "batch_size": 64}


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """A log in which members leave."""
    return recorded(tmp_path_factory.mktemp("log") / "log", "eventful", num_members=200, weeks=6)


def test_steps_of_a_log_are_its_members_weeks_with_the_weeks_that_follow(log):
    steps, table = weekly_steps_of(log), weekly_table(log)
    seen = {
        (int(member), int(week)): row
        for members, weeks, rows in weekly_observations(log)
        for member, week, row in zip(members, weeks, rows, strict=True)
    }
    keys = [
        (n, week) for n in range(len(table.members)) for week in range(log.weeks)
        if table.alive[week, n]
    ]  # fmt: skip
    assert len(steps.plans) == len(keys)
    r = log.world.reward
    for i, (n, week) in enumerate(keys):
        member = int(table.members[n])
        assert_array_equal(steps.observations[i], seen[member, week])
        assert steps.plans[i] == table.plans[week, n]
        assert steps.churned[i] == table.churned[week, n]
        if not steps.churned[i]:
            assert_array_equal(steps.following[i], seen[member, week + 1])
        utility = r.viewing_day * table.viewing_days[week, n]
        utility += r.causal_open * table.opens[week, n].sum()
        utility -= r.opt_out * table.opt_outs[week, n].sum() + r.churn * table.churned[week, n]
        utility -= r.message_cost * table.sends[week, n].sum()
        assert_allclose(steps.rewards[i], utility, rtol=1e-5, atol=1e-5)
    assert steps.churned.sum() == table.churned.sum() > 0


def test_few_steps_are_the_same_ones_however_the_log_is_split(log, tmp_path):
    split = recorded(tmp_path / "log", "eventful", num_members=200, weeks=6, shard=50)
    for ours, theirs in zip(weekly_steps_of(log, 100), weekly_steps_of(split, 100), strict=True):
        assert len(ours) == 100
        assert_array_equal(ours, theirs)


def test_steps_of_a_simulation_are_those_of_its_living_members():
    w = small_world()
    steps = simulated_weekly_steps(w, 60, 5, 2)
    assert 60 <= len(steps.plans) <= 300
    assert steps.observations.shape == steps.following.shape
    assert len(np.unique(steps.plans)) > 5


def test_a_value_is_that_of_the_network_and_infeasible_plans_are_never_chosen():
    from tests.slow.planners import random_cql

    w = small_world()
    planner = random_cql(w)
    asked = requests(w, np.random.default_rng(0).random((40, 2)) < 0.5)
    state = planner.state()
    latent = np.clip((asked.observations - state["centre"]) / state["scale"], -5, 5)
    for number in range(2):
        latent = np.maximum(latent @ state[f"weight_{number}"].T + state[f"bias_{number}"], 0)
    values = latent @ state["weight_2"].T + state["bias_2"]
    assert_allclose(planner.plan_scores(asked), values, rtol=1e-5)
    chosen = planner.plan(asked)
    assert_array_equal(chosen, np.where(asked.feasible, values, -np.inf).argmax(axis=1))


@trains
def test_it_finds_the_plan_that_pays_for_each_kind_of_member():
    from slowfast_rl.slow.cql_training import train_q

    rng, size = np.random.default_rng(0), 4000
    observations = rng.normal(size=(size, 2)).astype(np.float32)
    plans = rng.integers(3, size=size)
    best = np.where(observations[:, 0] > 0, 2, 0)
    rewards = (1 + (plans == best) + 0.3 * rng.normal(size=size)).astype(np.float32)
    churned = rng.random(size) < 0.05
    steps = WeeklySteps(observations, plans, rewards, observations[::-1].copy(), churned)
    settings = CQLPlanner(gradient_steps=1500, hidden=32, batch_size=128).settings
    layers = train_q(steps, 3, settings, 0.9, 1)
    latent = observations
    for number in range(2):
        latent = np.maximum(latent @ layers[f"weight_{number}"].T + layers[f"bias_{number}"], 0)
    values = latent @ layers["weight_2"].T + layers["bias_2"]
    clear = np.abs(observations[:, 0]) > 0.3
    assert (values.argmax(axis=1) == best)[clear].mean() > 0.95
    assert 5 < values.max(axis=1).mean() < 15.5  # 2 / (1 - .9 × .95) = 13.8 under the best plans


@trains
def test_churn_ends_all_utility_and_a_plan_that_causes_it_is_avoided():
    from slowfast_rl.slow.cql_training import train_q

    rng, size = np.random.default_rng(0), 4000
    observations, plans = rng.normal(size=(size, 2)).astype(np.float32), rng.integers(2, size=size)
    churned = rng.random(size) < np.where(plans == 1, 0.2, 0.02)
    rewards = np.where(plans == 1, 1.3, 1.0).astype(np.float32)  # what pays today costs later
    steps = WeeklySteps(observations, plans, rewards, observations[::-1].copy(), churned)
    settings = CQLPlanner(gradient_steps=1500, hidden=32, batch_size=128).settings
    layers = train_q(steps, 2, settings, 0.95, 1)
    assert layers["bias_2"].shape == (2,)
    latent = observations
    for number in range(2):
        latent = np.maximum(latent @ layers[f"weight_{number}"].T + layers[f"bias_{number}"], 0)
    values = latent @ layers["weight_2"].T + layers["bias_2"]
    assert (values.argmax(axis=1) == 0).mean() > 0.95


@trains
def test_it_learns_from_a_log_with_the_same_seed_the_same_network(log, tmp_path):
    import torch

    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    planner = CQLPlanner(**TINY).learn_from_log(log, seed=1)
    assert_array_equal(torch.rand(3), expected)  # the caller's random numbers are left alone
    again = CQLPlanner(**TINY).learn_from_log(log, seed=1)
    other = CQLPlanner(**TINY).learn_from_log(log, seed=2)
    for name, array in planner.state().items():
        assert_array_equal(again.state()[name], array)
    assert not np.array_equal(other.state()["weight_1"], planner.state()["weight_1"])
    assert planner.opportunities == 0
    agent = SlowFastAgent(planner, PacedExecutor())
    agent.world = log.world
    agent.save(tmp_path / "agent.zip")
    loaded = SlowFastAgent.load(tmp_path / "agent.zip").slow
    asked = requests(log.world, np.ones((30, 2), bool))
    assert_array_equal(loaded.plan(asked), planner.plan(asked))


@trains
def test_it_learns_in_a_world_from_a_log_that_it_records():
    w = small_world()
    planner = CQLPlanner(num_members=30, weeks=4, **TINY).learn(w, seed=3)
    assert planner.can_act
    assert planner.opportunities == 30 * 4 * w.slots_per_week


@pytest.mark.skipif(find_spec("d3rlpy") is not None, reason="d3rlpy is installed")
def test_without_d3rlpy_it_names_the_extra(log):
    with pytest.raises(ImportError, match=r"pip install 'slowfast_rl\[offline_rl\]'"):
        CQLPlanner().learn_from_log(log)


def test_a_world_without_discount_is_refused_before_anything_begins():
    w = load_world("pronounced", {"reward": {"weekly_discount": 1.0}})
    with pytest.raises(
        ValueError, match=r"weekly_discount 1\.0; conservative Q-learning needs one"
    ):
        CQLPlanner().learn(w)
