import json

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import slowfast_rl as sf
from slowfast_rl.agents import SinglePolicyAgent
from slowfast_rl.fast import PPOExecutor
from slowfast_rl.members.observations import opportunity_observation
from slowfast_rl.members.population import Population
from tests.agents.cases import resealed
from tests.evaluation.cases import TINY as CASE
from tests.evaluation.cases import references, small_world, twins
from tests.fast.test_ppo import TINY


def flat(**settings):
    """PPO at every opportunity, without a planner and without anything to begin as."""
    return SinglePolicyAgent(PPOExecutor(planned=False, **settings), name="flat_ppo")


@pytest.fixture(scope="module")
def agent():
    made = flat(**TINY)
    return made.learn(small_world(), total_opportunities=1000, seed=3)


def test_it_counts_what_it_played_and_what_it_took(agent):
    planned = agent.fast.schedule(small_world(), 1000)
    assert agent.train_opportunities == planned.opportunities == 5 * (3 * 21 + 4 * 32)
    assert agent.train_cpu_seconds > 0


def test_it_runs_on_the_leaderboard_by_its_own_return(agent):
    board = sf.compare(
        [agent, "never"], small_world(), CASE, references=references(), twins=twins(),
        progress=False,
    )  # fmt: skip
    row = board.row("flat_ppo")
    assert row["executor"] == "own"
    assert row["seeds"] == [3]
    assert row["sends_per_week"]["push"] > 1
    assert row["vetoed_sends"] == 0


@pytest.mark.parametrize("name", ["agent", "agent.zip"])
def test_a_loaded_agent_lives_the_same_weeks(agent, tmp_path, name):
    agent.save(tmp_path / name)
    loaded = SinglePolicyAgent.load(tmp_path / name)
    assert (loaded.world, loaded.seed) == (small_world(), 3)
    assert loaded.train_opportunities == agent.train_opportunities
    one, other = (Population(small_world(), 40, 9, 9) for _ in range(2))
    no_plan = np.zeros((40, 2), np.int32)
    for _ in range(2):
        mine = agent.executor.run_week(one, no_plan)
        assert mine.sends.sum() > 10
        assert_array_equal(mine.reward, loaded.executor.run_week(other, no_plan).reward)


@pytest.mark.parametrize("changes", [{"kind": "slowfast"}, {"slow": {}}, {"fast": {}}])
def test_a_file_of_another_agent_is_refused_in_one_line(agent, tmp_path, changes):
    agent.save(tmp_path)
    content = json.loads((tmp_path / "agent.json").read_text())
    (tmp_path / "agent.json").write_bytes(resealed(content | changes))
    with pytest.raises(ValueError, match="holds no agent that can be loaded") as raised:
        SinglePolicyAgent.load(tmp_path)
    assert "\n" not in str(raised.value)


def test_a_policy_that_reads_plans_is_refused():
    with pytest.raises(
        ValueError, match="fast reads plans; allowed is an executor with planned=False"
    ):
        SinglePolicyAgent(PPOExecutor())


def test_an_agent_that_has_not_learned_cannot_be_saved(tmp_path):
    agent = flat()
    with pytest.raises(RuntimeError, match="has no world; call learn or load first"):
        agent.save(tmp_path)
    agent.world = small_world()
    with pytest.raises(RuntimeError, match="has no network; call learn or load first"):
        agent.save(tmp_path)
    assert not list(tmp_path.iterdir())


def test_predict_is_the_policys_choice_by_coins_of_the_member_and_the_time(agent):
    w = small_world()
    population = Population(w, 200, 9, 9)
    obs, ids = opportunity_observation(population), population.members
    actions, state = agent.predict(obs, entity_ids=ids, now=population.now)
    assert state is None
    opted_in = population.opted_in[:, w.schedule[0].channel]
    assert 0.05 < (actions[opted_in] > 0).mean() < 0.5
    assert (actions[~opted_in] == 0).all()
    rows = np.arange(20, 90)
    some, _ = agent.predict(obs[rows], entity_ids=ids[rows], now=0)
    assert_array_equal(agent.predict(obs, entity_ids=ids, now=3600)[0], actions)  # the same slot
    later, _ = agent.predict(obs, entity_ids=ids, now=7 * 24 * 3600)
    assert_array_equal(some, actions[rows])
    assert (later != actions).any()
    with pytest.raises(RuntimeError, match="no world"):
        flat().predict(obs, entity_ids=ids, now=0)
