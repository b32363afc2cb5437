import json
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from safetensors.numpy import load

from slowfast_rl.agents import SlowFastAgent, ThresholdAgent
from slowfast_rl.fast import BidPricePacer, CoinPacer, PacedExecutor, QualityRanker
from slowfast_rl.members.loading import load_world
from slowfast_rl.members.observations import opportunity_observation
from slowfast_rl.members.population import Population
from slowfast_rl.policies import default_executor
from slowfast_rl.slow import FixedPlanner
from tests.agents.cases import resealed, untrained_agent
from tests.members.worlds import world
from tests.slow.cases import small_world
from tests.slow.planners import random_ppo, random_rollouts


def week_of_actions(agent, w):
    """What an agent does to some members in their third week, and its planner's own words."""
    population = Population(w, 60, 8, 8)
    for _ in range(2):
        default_executor().run_week(population, np.full((60, len(w.channels)), 3, np.int32))
    actions = []
    for _ in w.schedule:
        acted, _ = agent.predict(
            opportunity_observation(population), entity_ids=population.members, now=population.now
        )
        actions.append(acted)
        population.step(acted)
    return np.array(actions)


@pytest.fixture(scope="module")
def agent():
    agent = untrained_agent(small_world())
    agent.train_opportunities, agent.train_cpu_seconds = 123, 4.5
    return agent


@pytest.mark.parametrize("name", ["agent.zip", "folder"])
@pytest.mark.parametrize("world_name", ["pronounced", "in_app"])
def test_an_agent_comes_back_from_disk_as_it_was(tmp_path, name, world_name):
    w = world(world_name)
    agent = untrained_agent(w)
    agent.train_opportunities, agent.train_cpu_seconds = 123, 4.5
    agent.save(tmp_path / name)
    again = SlowFastAgent.load(tmp_path / name)
    assert again.world == w
    assert (again.seed, again.train_opportunities, again.train_cpu_seconds) == (3, 123, 4.5)
    actions = week_of_actions(agent, w)
    assert len(np.unique(actions)) > 3
    assert_array_equal(week_of_actions(again, w), actions)


@pytest.mark.parametrize("name", ["agent.zip", "folder"])
@pytest.mark.parametrize("beliefs", [True, False])
def test_an_agent_of_rollouts_comes_back_with_its_beliefs(tmp_path, name, beliefs):
    w = world("in_app")
    agent = SlowFastAgent(random_rollouts(w, beliefs=beliefs), PacedExecutor())
    agent.world = w
    agent.save(tmp_path / name)
    again = SlowFastAgent.load(tmp_path / name)
    assert again.slow.settings == agent.slow.settings
    assert again.slow.policy_version == 2
    assert (again.slow.belief_filter is not None) == beliefs
    actions = week_of_actions(agent, w)
    assert len(np.unique(actions)) > 3
    assert_array_equal(week_of_actions(again, w), actions)


@pytest.mark.parametrize("make", [random_ppo, random_rollouts])
def test_the_device_of_any_planner_with_a_network_can_be_chosen_at_loading(tmp_path, make):
    agent = SlowFastAgent(make(small_world(), device="cuda"), PacedExecutor())
    agent.world = small_world()
    agent.save(tmp_path)
    assert SlowFastAgent.load(tmp_path).slow.settings.device == "cuda"
    assert SlowFastAgent.load(tmp_path, device="cpu").slow.settings.device == "cpu"
    with pytest.raises(ValueError, match="device is 'toaster'; allowed is cpu or cuda"):
        SlowFastAgent.load(tmp_path, device="toaster")


def test_an_agent_without_a_network_loads_for_any_device(tmp_path):
    w = world("pronounced")
    SlowFastAgent(FixedPlanner(w, (5, 2)), PacedExecutor()).learn(w).save(tmp_path)
    assert SlowFastAgent.load(tmp_path, device="cpu").slow.wanted == (5, 2)


def test_an_agent_of_a_fixed_plan_and_a_quality_ranker_comes_back_too(tmp_path):
    w = world("pronounced")
    agent = SlowFastAgent(FixedPlanner(w, (5, 2)), PacedExecutor()).learn(w, seed=4)
    agent.save(tmp_path / "agent")
    again = SlowFastAgent.load(str(tmp_path / "agent"))
    assert again.slow.wanted == (5, 2)
    assert_array_equal(week_of_actions(again, w), week_of_actions(agent, w))


@pytest.mark.parametrize(
    "pacer", [CoinPacer(), BidPricePacer(), BidPricePacer.with_quantiles([[-1, 0, 2.5], [0, 0.1]])]
)
def test_an_agent_of_any_pacer_comes_back_too(tmp_path, pacer):
    w = world("shaped")
    agent = SlowFastAgent(FixedPlanner(w, (5, 2), "weekend"), PacedExecutor(pacer))
    agent.world = w
    agent.save(tmp_path / "agent")
    again = SlowFastAgent.load(tmp_path / "agent")
    assert again.world == w
    assert again.fast.pacer.state() == pacer.state()
    assert_array_equal(week_of_actions(again, w), week_of_actions(agent, w))


def test_a_world_changed_by_its_user_is_saved_with_the_agent(tmp_path):
    w = load_world("pronounced", {"reward.message_cost": 0.125})
    SlowFastAgent(FixedPlanner(w, (5, 2)), PacedExecutor()).learn(w).save(tmp_path / "agent.zip")
    assert SlowFastAgent.load(tmp_path / "agent.zip").world == w


def test_an_agent_is_json_and_safetensors_and_nothing_else(agent, tmp_path):
    agent.save(tmp_path / "agent.zip")
    agent.save(tmp_path / "folder")
    with zipfile.ZipFile(tmp_path / "agent.zip") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    assert parts == {p.name: p.read_bytes() for p in (tmp_path / "folder").iterdir()}
    assert set(parts) == {"agent.json", "weights.safetensors"}
    content = json.loads(parts["agent.json"])
    assert content["kind"] == "slowfast"
    assert content["slow"]["class"] == "ppo"
    assert content["fast"]["parts"]["ranker"]["class"] == "affinity"
    assert_array_equal(
        load(parts["weights.safetensors"])["slow.action_net.heads.weight"],
        agent.slow.state()["action_net.heads.weight"],
    )


def test_saving_again_replaces_the_agent(tmp_path):
    w = small_world()
    for name in ("agent.zip", "folder"):
        for seed in (1, 2):
            untrained_agent(w, seed=seed).save(tmp_path / name)
        assert SlowFastAgent.load(tmp_path / name).seed == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["agent.zip", "folder"]


def refused(path):
    """Whether loading is refused, in one line that names the path."""
    try:
        SlowFastAgent.load(path)
    except ValueError as error:
        message = str(error)
    else:
        return False
    assert "\n" not in message
    assert message.startswith(f"{path} holds no agent that can be loaded: ")
    return True


def test_a_write_killed_between_its_two_files_is_noticed(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    untrained_agent(small_world(), seed=1).save(old)
    untrained_agent(small_world(), seed=2).save(new)
    (old / "weights.safetensors").write_bytes((new / "weights.safetensors").read_bytes())
    assert refused(old)
    (new / "agent.json").unlink()
    assert refused(new)


@pytest.fixture(scope="module")
def saved(agent, tmp_path_factory):
    path = tmp_path_factory.mktemp("agents") / "agent.zip"
    agent.save(path)
    return path


@given(st.data())
@settings(max_examples=60)
def test_a_damaged_zip_is_refused_in_one_line_or_was_not_damaged_where_it_matters(saved, data):
    content = bytearray(saved.read_bytes())
    damage = data.draw(st.sampled_from(["cut", "flip"]))
    place = data.draw(st.integers(0, len(content) - 1))
    if damage == "cut":
        content = content[:place]
    else:
        content[place] ^= data.draw(st.integers(1, 255))
    path = saved.with_name("damaged.zip")
    path.write_bytes(content)
    if not refused(path):
        assert damage == "flip"
        one, other = SlowFastAgent.load(path), SlowFastAgent.load(saved)
        assert one.world == other.world
        for name, array in one.slow.state().items():
            assert_array_equal(array, other.slow.state()[name])


BID_PRICE = {"class": "bid_price", "settings": BidPricePacer().settings.to_dict()}


@pytest.mark.parametrize("name", ["missing", "missing.zip"])
def test_a_path_without_an_agent_is_refused_in_one_line(tmp_path, name):
    assert refused(tmp_path / name)


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 1},
        {"kind": "oracle"},
        {"kind": "threshold"},
        {"name": 3},
        {"world": {"channels": []}},
        {"world": 3},
        {"seed": "one"},
        {"train_cpu_seconds": None},
        {"slow": None},
        {"slow": {}},
        {"fast": None},
        {"slow.class": "oracle"},
        {"slow.settings": {}},
        {"slow.policy_version": -1},
        {"fast.class": "oracle"},
        {"fast.parts": {}},
        {"fast.parts.ranker.class": "oracle"},
        {"fast.parts.ranker.class": "uplift"},
        {"fast.parts.ranker.state": {"quality": 1}},
        {"fast.parts.pacer": None},
        {"fast.parts.pacer.class": "oracle"},
        {"fast.parts.pacer.state": {"quantiles": []}},
        {"fast.parts.pacer.state": None},
        {"fast.parts.pacer": BID_PRICE | {"state": {}}},
        {"fast.parts.pacer": BID_PRICE | {"state": {"quantiles": [[0, "x"]]}}},
        {"fast.parts.pacer": BID_PRICE | {"state": {"quantiles": [[0, 1]]}}},
        {"weights_sha256": "0"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_content_that_is_not_allowed_is_refused_in_one_line(agent, tmp_path, changes):
    agent.save(tmp_path)
    path = tmp_path / "agent.json"
    content = json.loads(path.read_text())
    for key, value in changes.items():
        *parents, last = key.split(".")
        level = content
        for parent in parents:
            level = level[parent]
        level[last] = value
    path.write_bytes(resealed(content))
    assert refused(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": 1}', "[" * 100_000])
def test_json_that_is_no_agent_is_refused_in_one_line(agent, tmp_path, text):
    agent.save(tmp_path)
    (tmp_path / "agent.json").write_text(text)
    assert refused(tmp_path)


def leaves(tree, path=()):
    """Paths of all values in nested mappings and lists."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from leaves(value, (*path, key))


@given(st.data())
@settings(max_examples=100)
def test_json_with_one_value_of_the_wrong_type_is_refused_or_makes_a_world(saved, data):
    with zipfile.ZipFile(saved) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    content = json.loads(parts["agent.json"])
    *parents, last = data.draw(st.sampled_from(list(leaves(content))))
    level = content
    for key in parents:
        level = level[key]
    level[last] = data.draw(
        st.sampled_from([None, "x", -1, 1e400, 10**30, [], {}, [[]], {"x": 1}, True])
    )
    path = saved.with_name("changed.zip")
    with zipfile.ZipFile(path, "w") as archive:
        for name, part in (parts | {"agent.json": resealed(content)}).items():
            archive.writestr(name, part)
    if not refused(path):
        assert SlowFastAgent.load(path).world is not None


@pytest.mark.parametrize("part", ["slow", "pacer", "ranker"])
def test_a_class_that_cannot_be_imported_again_is_not_saved_and_nothing_is_written(tmp_path, part):
    class LocalPlanner(FixedPlanner):
        name = "local"

    class LocalPacer(CoinPacer):
        name = "local"

    class LocalRanker(QualityRanker):
        name = "local"

    agent = untrained_agent(small_world())
    if part == "slow":
        agent.slow = LocalPlanner(small_world(), (2, 7))
    else:
        setattr(agent.fast, part, LocalPacer() if part == "pacer" else LocalRanker())
    with pytest.raises(ValueError, match=r"Local\w+ is .* cannot be imported from") as raised:
        agent.save(tmp_path / "agent")
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_an_agent_without_a_world_is_not_saved(tmp_path):
    with pytest.raises(RuntimeError, match="call learn or load first"):
        SlowFastAgent().save(tmp_path / "agent")


def test_what_the_planner_plans_for_is_kept(tmp_path):
    agent = untrained_agent(world("pronounced"))
    agent.plans_for = "own"
    agent.save(tmp_path / "agent.zip")
    assert SlowFastAgent.load(tmp_path / "agent.zip").plans_for == "own"


@pytest.mark.parametrize("name", ["never", "always", "random", "best_fixed", "oracle"])
def test_a_name_that_is_a_baselines_is_refused(name):
    message = f"name is '{name}', a baseline's; allowed is any but never, always, random, best_fix"
    for make in (SlowFastAgent, ThresholdAgent):
        with pytest.raises(ValueError, match=message) as raised:
            make(name=name)
        assert "\n" not in str(raised.value)
    assert ThresholdAgent().name == "threshold"


@pytest.mark.parametrize("name", ["a/b", "..", "../mine", 3])
def test_a_name_that_is_a_path_is_refused(name):
    message = r"name is .*; allowed is a text without / and \.\."
    with pytest.raises(ValueError, match=message) as raised:
        SlowFastAgent(name=name)
    assert "\n" not in str(raised.value)
    agent = SlowFastAgent(name="a.b, c=1")
    with pytest.raises(ValueError, match=message):
        agent.name = name
    with pytest.raises(ValueError, match=message):
        ThresholdAgent(name=name)
