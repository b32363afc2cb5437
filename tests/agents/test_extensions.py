"""Parts of a user's own work wherever the library's do."""

import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import slowfast_rl as sf
from slowfast_rl.fast import (
    AffinityRanker,
    BidPricePacer,
    CoinPacer,
    ExactPacer,
    PacedExecutor,
    PPOExecutor,
)
from slowfast_rl.fast.affinity import Weights
from slowfast_rl.members.observations import opportunity_observation
from slowfast_rl.members.population import Population
from slowfast_rl.policies.component import find_class
from slowfast_rl.slow import FixedPlanner, PPOPlanner
from slowfast_rl.store import pacing_plan
from tests.agents.own_parts import (
    OwnExecutor,
    OwnPacer,
    OwnPlanner,
    OwnRanker,
    OwnSinglePolicy,
)
from tests.members.worlds import world
from tests.slow.cases import small_world

ALL = [OwnPlanner, OwnRanker, OwnPacer, OwnExecutor]
SMALL = sf.EvaluationProtocol(num_members=24, weeks=3, burn_in=1, streams=(0,))


def actions_of(agent, w):
    population = Population(w, 40, 8, 8)
    obs, ids = opportunity_observation(population), population.members
    return agent.predict(obs, entity_ids=ids, now=population.now)[0]


@pytest.mark.parametrize(
    "fast",
    [PacedExecutor(OwnPacer(), OwnRanker()), OwnExecutor()],
    ids=["pacer and ranker", "executor"],
)
def test_an_agent_of_own_parts_learns_is_saved_loaded_and_compared(fast, tmp_path):
    w = world("pronounced")
    agent = sf.SlowFastAgent(OwnPlanner(sends=3), fast).learn(w, seed=2)
    agent.save(tmp_path / "agent.zip")
    again = sf.SlowFastAgent.load(tmp_path / "agent.zip", allow=ALL)
    assert again.slow.settings.sends == 3
    assert again.slow.bonus == 2
    assert agent.name == again.name == f"own+{fast.label}"
    actions = actions_of(agent, w)
    assert (actions > 0).any()
    assert_array_equal(actions_of(again, w), actions)
    board = sf.compare([agent, again, "never"], w, SMALL, progress=False)
    one, other = board.row(agent.name), board.row(f"{agent.name}_2")
    assert one["return"] == other["return"]
    assert one["sends_per_week"]["push"] > 1


def test_a_class_is_allowed_by_its_import_path_too_and_refused_without(tmp_path):
    w = world("pronounced")
    sf.SlowFastAgent(OwnPlanner(), PacedExecutor()).learn(w).save(tmp_path / "a.zip")
    path = "tests.agents.own_parts.OwnPlanner"
    assert sf.SlowFastAgent.load(tmp_path / "a.zip", allow=[path]).slow.name == "own"
    with pytest.raises(ValueError, match=rf"planner '{path}' is not allowed; .*allow=") as raised:
        sf.SlowFastAgent.load(tmp_path / "a.zip")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("left_out", ALL)
def test_every_own_part_of_a_file_must_be_allowed(tmp_path, left_out):
    fast = OwnExecutor() if left_out is OwnExecutor else PacedExecutor(OwnPacer(), OwnRanker())
    agent = sf.SlowFastAgent(OwnPlanner(), fast).learn(world("pronounced"))
    agent.save(tmp_path / "a")
    assert sf.SlowFastAgent.load(tmp_path / "a", allow=ALL).name == agent.name
    for allow in ([], [cls for cls in ALL if cls is not left_out]):
        with pytest.raises(ValueError, match=r"'tests\.agents\.own_parts\.Own\w+' is not allowed"):
            sf.SlowFastAgent.load(tmp_path / "a", allow=allow)


@pytest.mark.parametrize(
    ("slow", "fast", "name"),
    [
        (None, PacedExecutor(BidPricePacer(), AffinityRanker()), "slowfast"),
        (None, None, "rollouts+affinity"),
        (None, PacedExecutor(CoinPacer(), AffinityRanker()), "rollouts+coin"),
        (PPOPlanner(), PacedExecutor(BidPricePacer(), AffinityRanker()), "ppo+bid_price"),
        (PPOPlanner(), PacedExecutor(CoinPacer()), "ppo+coin-quality"),
        (OwnPlanner(), PacedExecutor(), "own+quality"),
    ],
)
def test_an_agents_name_says_what_it_is_unless_it_is_given(slow, fast, name):
    assert sf.SlowFastAgent(slow, fast).name == name
    assert sf.SlowFastAgent(slow, fast, name="mine").name == "mine"


def test_a_class_that_is_not_allowed_is_not_even_imported(tmp_path, monkeypatch):
    (tmp_path / "strangers.py").write_text("raise SystemExit('run')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match="is not allowed"):
        find_class("planner", "strangers.Planner", allow=["tests.agents.own_parts.OwnPlanner"])
    assert "strangers" not in sys.modules


def test_own_pacer_and_ranker_decide_as_the_built_in_ones_that_they_copy():
    w = world("pronounced")
    own = PacedExecutor(OwnPacer(), OwnRanker().learn(w))
    weights = Weights(4, 1, 0.5, 0, 0, 0)
    built_in = PacedExecutor(ExactPacer(), AffinityRanker.with_weights(weights))
    one, other = Population(w, 200, 3, 3), Population(w, 200, 3, 3)
    target = np.random.default_rng(0).integers(0, 8, (200, 2)).astype(np.int32)
    for _ in range(4):
        mine, theirs = own.run_week(one, target), built_in.run_week(other, target)
        assert_allclose(mine.reward, theirs.reward, rtol=1e-6)
        assert_array_equal(mine.sends, theirs.sends)
    obs, plan = opportunity_observation(one), pacing_plan(target, one.weeks)
    arguments = w, obs, plan, one.members, one.now, 5
    for found, wanted in zip(own.choose(*arguments), built_in.choose(*arguments), strict=True):
        assert_array_equal(found, wanted)


def test_an_executor_of_own_keeps_caps_and_opt_ins_when_it_is_served():
    w = world("pronounced")
    population = Population(w, 300, 3, 3)
    cap = np.tile(np.array([[0, 1]], np.int32), (300, 1))
    plan = pacing_plan(np.full((300, 2), 5, np.int32), 0)._replace(cap=cap)
    obs = opportunity_observation(population)
    choice = OwnExecutor().choose(w, obs, plan, population.members, population.now, 0)
    channel = w.schedule[0].channel
    opted_in = population.opted_in[:, channel]
    assert ((choice.actions > 0) & opted_in).any() == (channel == 1)
    assert not (choice.actions[~opted_in] > 0).any()


def test_a_single_policy_of_own_is_saved_loaded_and_compared(tmp_path):
    w = small_world()
    agent = sf.SinglePolicyAgent(OwnSinglePolicy()).learn(w, seed=1)
    agent.save(tmp_path / "agent")
    with pytest.raises(ValueError, match=r"OwnSinglePolicy' is not allowed"):
        sf.SinglePolicyAgent.load(tmp_path / "agent", allow=[OwnExecutor])
    again = sf.SinglePolicyAgent.load(tmp_path / "agent", allow=[OwnSinglePolicy])
    assert (actions_of(agent, w) > 0).any()
    assert_array_equal(actions_of(again, w), actions_of(agent, w))
    row = sf.compare([again, "never"], w, SMALL, progress=False).row("own_single")
    assert row["executor"] == "own"
    assert row["sends_per_week"]["push"] > 2


def test_an_agent_whose_executor_is_ppo_learns_saves_loads_and_predicts(tmp_path):
    w = small_world()
    fast = PPOExecutor(num_envs=16, weeks=3, n_steps=8, batch_size=64, n_epochs=1, hidden=8)
    agent = sf.SlowFastAgent(FixedPlanner(w, (2, 7)), fast)
    agent.learn(w, total_opportunities=200, seed=1)
    assert agent.train_opportunities >= 200
    agent.save(tmp_path / "agent.zip")
    again = sf.SlowFastAgent.load(tmp_path / "agent.zip")
    assert agent.name == again.name == "fixed+ppo"
    assert (actions_of(agent, w) > 0).any()
    assert_array_equal(actions_of(again, w), actions_of(agent, w))
    row = sf.compare([again, "never"], w, SMALL, progress=False).row("fixed+ppo")
    assert row["sends_per_week"]["push"] > 0.5
    before = agent.untrained_copy(w).fast.state()
    assert any((before[k] != v).any() for k, v in agent.fast.state().items())
    for name, array in agent.fast.state().items():
        assert_array_equal(again.fast.state()[name], array)


def test_an_executor_that_learns_from_plans_needs_the_budget_that_it_takes():
    w = small_world()
    agent = sf.SlowFastAgent(FixedPlanner(w, (2, 7)), PPOExecutor())
    with pytest.raises(ValueError, match="exactly one of them is needed"):
        agent.learn(w)
    with pytest.raises(ValueError, match="plans_for is 'own'"):
        sf.SlowFastAgent(FixedPlanner(w, (2, 7)), PPOExecutor(), plans_for="own")


def test_an_untrained_copy_of_own_parts_has_the_safe_plan():
    w = world("pronounced")
    agent = sf.SlowFastAgent(OwnPlanner(), PacedExecutor(OwnPacer(), OwnRanker())).learn(w)
    copy = agent.untrained_copy(w)
    assert isinstance(copy.slow, FixedPlanner)
    assert len(copy.fast.ranker.weights) == 0
    assert len(agent.fast.ranker.weights) == 1
