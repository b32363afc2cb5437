"""Parts of a user's own work wherever the library's do."""

import json
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
from slowfast_rl.policies.plan_exchange import plan_request
from slowfast_rl.policies.registry import find_class
from slowfast_rl.slow import FixedPlanner, PPOPlanner
from slowfast_rl.store import pacing_plan
from tests.agents.cases import resealed
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
        (None, None, "slowfast"),
        (None, PacedExecutor(ranker=AffinityRanker()), "rollouts+affinity"),
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
    assert 0 < agent.train_opportunities <= 200  # a small budget has fewer members
    agent.save(tmp_path / "agent.zip")
    again = sf.SlowFastAgent.load(tmp_path / "agent.zip")
    assert agent.name == again.name == "fixed+ppo-quality"
    assert (actions_of(agent, w) > 0).any()
    assert_array_equal(actions_of(again, w), actions_of(agent, w))
    row = sf.compare([again, "never"], w, SMALL, progress=False).row("fixed+ppo-quality")
    assert row["sends_per_week"]["push"] > 0.5
    before = agent.untrained_copy(w).fast.state()
    assert not before  # it begins as its pacer and its ranker
    assert agent.fast.state()
    for name, array in agent.fast.state().items():
        assert_array_equal(again.fast.state()[name], array)


def test_an_untrained_copy_of_own_parts_has_the_safe_plan():
    w = world("pronounced")
    agent = sf.SlowFastAgent(OwnPlanner(), PacedExecutor(OwnPacer(), OwnRanker())).learn(w)
    copy = agent.untrained_copy(w)
    assert isinstance(copy.slow, FixedPlanner)
    assert copy.fast.ranker.weights.tolist() == [0.0]
    assert agent.fast.ranker.weights.tolist() == [0.5]


def test_the_default_agent_is_that_of_the_default_experiment():
    agent = sf.SlowFastAgent()
    assert agent.name == "slowfast"
    assert type(agent.fast.pacer) is BidPricePacer
    assert type(agent.fast.ranker) is AffinityRanker


@pytest.mark.parametrize("one", [True, False])
def test_allow_takes_a_single_class_or_path_and_any_iterable(tmp_path, one):
    fast = PacedExecutor() if one else PacedExecutor(OwnPacer(), OwnRanker())
    slow = OwnPlanner() if one else FixedPlanner(world("pronounced"), (3, 1))
    sf.SlowFastAgent(slow, fast).learn(world("pronounced")).save(tmp_path / "a")
    allowed = (OwnPlanner, "tests.agents.own_parts.OwnPlanner") if one else (iter(ALL),)
    for allow in allowed:
        assert sf.SlowFastAgent.load(tmp_path / "a", allow=allow).slow.name == slow.name


def test_an_agent_of_one_policy_refuses_an_executor_that_reads_plans():
    with pytest.raises(ValueError, match=r"fast reads plans; allowed .* planned=False"):
        sf.SinglePolicyAgent(OwnExecutor())
    with pytest.raises(ValueError, match=r"fast reads plans; allowed .* planned=False"):
        sf.SinglePolicyAgent(PPOExecutor())
    for fast in (OwnSinglePolicy(), PacedExecutor(), PPOExecutor(planned=False)):
        assert sf.SinglePolicyAgent(fast).fast is fast


class Asking(OwnSinglePolicy):
    name = "asking"
    told = None

    def learn(self, world, planner, *, seed=0):
        self.told = planner, seed
        return self

    def state(self):
        return {}

    @classmethod
    def from_state(cls, world, settings, state, **parts):
        return super().from_state(world, settings, state, **parts)


def test_an_agent_of_one_policy_gives_no_planner():
    agent = sf.SinglePolicyAgent(Asking()).learn(small_world(), seed=2)
    assert agent.fast.told == (None, 2)


class Renamed(sf.SinglePolicyAgent):
    """A subclass that does not name a kind."""


def test_a_subclass_without_a_kind_of_its_own_is_loaded_as_itself(tmp_path):
    Renamed(OwnSinglePolicy()).learn(small_world()).save(tmp_path)
    assert type(Renamed.load(tmp_path, allow=OwnSinglePolicy)) is Renamed
    assert type(sf.Agent.load(tmp_path, allow=OwnSinglePolicy)) is sf.SinglePolicyAgent


def test_a_kind_of_agent_is_named_once():
    with pytest.raises(ValueError, match=r"kind of Second is 'slowfast', that of .*SlowFastAgent"):
        type("Second", (sf.SinglePolicyAgent,), {"kind": "slowfast"})
    assert sf.SlowFastAgent.kind == "slowfast"


def test_numbers_of_numpy_are_saved_and_other_seeds_are_named(tmp_path):
    agent = sf.SlowFastAgent(FixedPlanner(small_world(), (2, 7)), PacedExecutor())
    agent.learn(small_world(), seed=np.int64(3))
    agent.train_opportunities, agent.train_cpu_seconds = np.int64(7), np.float32(0.5)
    agent.save(tmp_path)
    again = sf.SlowFastAgent.load(tmp_path)
    assert (again.seed, again.train_opportunities, again.train_cpu_seconds) == (3, 7, 0.5)
    agent.seed = 1.5
    with pytest.raises(ValueError, match=r"seed is 1.5; allowed is a whole number"):
        agent.save(tmp_path)


def test_a_fixed_plan_follows_the_agent_into_another_world():
    two, three = world("pronounced"), world("in_app")
    agent = sf.SlowFastAgent(FixedPlanner(two, (3, 1)), PacedExecutor()).learn(two)
    other = next(w for w in map(world, ("eventful", "deathless")) if w.channels == two.channels)
    agent.learn(other)
    assert agent.slow.world is other
    request = plan_request(Population(other, 30, 2, 2))
    wanted = FixedPlanner(other, (3, 1)).plan(request)
    assert_array_equal(other.plans[agent.slow.plan(request)], other.plans[wanted])
    with pytest.raises(ValueError, match="one target per channel"):
        agent.learn(three)
    assert agent.world is agent.slow.world is other


def test_the_turns_of_an_agent_are_saved(tmp_path):
    w = small_world()
    fast = PPOExecutor(num_envs=16, weeks=3, n_steps=8, batch_size=64, n_epochs=1, hidden=8)
    agent = sf.SlowFastAgent(FixedPlanner(w, (2, 7)), fast, turns=["fast", "fast"])
    agent.world = w
    agent.save(tmp_path)
    again = sf.SlowFastAgent.load(tmp_path)
    assert again.order == ("fast", "fast")
    content = json.loads((tmp_path / "agent.json").read_text())
    del content["turns"]  # as in older files
    (tmp_path / "agent.json").write_bytes(resealed(content))
    assert sf.SlowFastAgent.load(tmp_path).order == ("fast",)
