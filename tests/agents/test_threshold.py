import json

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from slowfast_rl.agents import ThresholdAgent
from slowfast_rl.fast import UpliftRanker
from slowfast_rl.fast.proposals import propose
from slowfast_rl.members.loading import load_world
from slowfast_rl.members.observations import opportunity_observation
from slowfast_rl.members.population import Population
from tests.agents.cases import resealed
from tests.fast.test_decide import made_up
from tests.members.worlds import world

SMALL = {"num_members": 128, "weeks": 30}


def quick_ranker():
    """The ranker on few members."""
    return UpliftRanker(num_members=256, weeks=16)


@pytest.fixture(scope="module")
def tuned():
    return ThresholdAgent(quick_ranker(), **SMALL).learn(world("pronounced"), seed=1)


def test_the_tuned_threshold_is_the_tried_one_of_the_best_return(tuned):
    best = max(tuned.trials, key=lambda trial: trial.long_run_return)
    assert tuned.threshold == best.threshold
    thresholds = [trial.threshold for trial in tuned.trials]
    assert thresholds == sorted(set(thresholds))
    assert 0.005 < tuned.threshold < 0.2


def test_a_higher_threshold_sends_less(tuned):
    sends = [trial.sends for trial in tuned.trials]
    assert sends[0] > 8
    assert sends[-1] < 0.1
    assert (np.diff(sends) <= 0.1).all()


def test_a_tried_threshold_brings_exactly_what_its_weeks_bring(tuned):
    members = Population(world("pronounced"), 50, 9, 9)
    trial = tuned.try_threshold(members, tuned.threshold)
    value = sends = lived = 0.0
    for week in range(SMALL["weeks"]):
        lived += members.alive.sum()
        simulation = tuned.executor.run_week(members, np.zeros((50, 2), np.int32))
        value += 0.98**week * simulation.reward.mean()
        sends += simulation.sends.sum()
    assert trial.long_run_return == pytest.approx(value)
    assert trial.sends == pytest.approx(sends / lived)


def test_a_calibrated_threshold_meets_its_send_rate():
    agent = ThresholdAgent(quick_ranker(), sends_per_week=3.0, num_members=512, weeks=30)
    agent.learn(world("pronounced"), seed=1)
    members = Population(world("pronounced"), 1000, 9, 9)
    assert agent.try_threshold(members, agent.threshold).sends == pytest.approx(3, rel=0.2)


def test_where_messages_do_nothing_hardly_any_is_sent():
    nothing = load_world("null")
    agent = ThresholdAgent(quick_ranker(), **SMALL).learn(nothing, seed=1)
    members = Population(nothing, 200, 9, 9)
    assert agent.try_threshold(members, agent.threshold).sends < 0.05


@pytest.mark.parametrize("name", ["pronounced", "in_app", "eventful"])
def test_no_plan_caps_it_and_nobody_who_left_a_channel_is_sent_to(tuned, name):
    w = world(name)
    population = Population(w, 200, 9, 9)
    free = ThresholdAgent(UpliftRanker()).executor  # untrained, threshold 0: all is sent
    no_plan = np.zeros((200, len(w.channels)), np.int32)
    slots = np.bincount([slot.channel for slot in w.schedule])
    for _ in range(5):
        opted_in, alive = population.opted_in, population.alive
        week = free.run_week(population, no_plan)
        stayed = opted_in & (week.opt_outs == 0) & alive[:, None]
        assert_array_equal(week.sends[stayed], np.broadcast_to(slots, stayed.shape)[stayed])
        assert (week.sends[~opted_in | ~alive[:, None]] == 0).all()
        assert week.vetoed.sum() == week.ignored.sum() == 0


@pytest.mark.parametrize("name", ["agent", "agent.zip"])
def test_a_loaded_agent_lives_the_same_weeks(tuned, tmp_path, name):
    tuned.save(tmp_path / name)
    loaded = ThresholdAgent.load(tmp_path / name)
    assert loaded.threshold == tuned.threshold
    assert loaded.world == tuned.world
    assert loaded.seed == 1
    assert loaded.train_opportunities == tuned.train_opportunities
    one, other = (Population(world("pronounced"), 64, 9, 9) for _ in range(2))
    no_plan = np.zeros((64, 2), np.int32)
    for _ in range(4):
        mine = tuned.executor.run_week(one, no_plan)
        assert_array_equal(mine.reward, loaded.executor.run_week(other, no_plan).reward)


@pytest.mark.parametrize(
    "changes",
    [
        ("kind", "slowfast"),
        ("slow", {}),
        ("fast.parts.ranker.class", "quality"),
        ("fast.parts.pacer.class", "exact"),
        ("fast.parts.pacer.settings", {"threshold": "high"}),
        ("fast.parts.pacer.settings", {"thresholds": 0.1}),
        ("settings", {"sends": 3}),
        ("settings", {"weeks": 0}),
        ("fast.parts.ranker.state", {}),
    ],
)
def test_a_file_of_another_agent_is_refused_in_one_line(tuned, tmp_path, changes):
    tuned.save(tmp_path)
    content = json.loads((tmp_path / "agent.json").read_text())
    *parents, last = changes[0].split(".")
    level = content
    for parent in parents:
        level = level[parent]
    level[last] = changes[1]
    (tmp_path / "agent.json").write_bytes(resealed(content))
    with pytest.raises(ValueError, match="holds no agent that can be loaded") as raised:
        ThresholdAgent.load(tmp_path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "arguments", [{"sends_per_week": 0}, {"num_members": 0}, {"weeks": 0}, {"sends_per_week": -1}]
)
def test_arguments_outside_what_is_allowed_are_refused(arguments):
    with pytest.raises(ValueError, match=r"allowed is"):
        ThresholdAgent(**arguments)


def test_an_agent_that_has_not_learned_cannot_be_saved(tmp_path):
    with pytest.raises(RuntimeError, match="no world"):
        ThresholdAgent().save(tmp_path)


def test_predict_sends_what_the_fused_week_sends():
    made, w = ThresholdAgent(UpliftRanker.with_weights(made_up(2))), world("pronounced")
    fused, stepped = (Population(w, 80, 9, 9) for _ in range(2))
    effects = propose(w, None, made.ranker, opportunity_observation(fused)).scores
    made.world, made.threshold = w, float(np.quantile(effects, 0.97))
    for _ in range(3):
        week = made.executor.run_week(fused, np.zeros((80, 2), np.int32))
        for _ in w.schedule:
            actions, state = made.predict(
                opportunity_observation(stepped), entity_ids=stepped.members, now=stepped.now
            )
            assert state is None
            stepped.step(actions)
        assert 80 < week.sends.sum() < 1200
        differ = (week.sends != stepped.last_week().sends).any(axis=1)
        assert differ.mean() < 0.05  # what observations show is clipped


def test_predict_never_sends_to_who_left_the_channel():
    made, w = ThresholdAgent(), world("pronounced")
    made.world, made.threshold = w, -1.0
    population = Population(w, 80, 9, 9)
    for slot in w.schedule[:3]:
        actions, _ = made.predict(opportunity_observation(population), entity_ids=0, now=0)
        assert_array_equal(actions > 0, population.opted_in[:, slot.channel])
        population.step(actions)
    with pytest.raises(ValueError, match=r"obs has shape \(3, 5\); allowed is \(B, "):
        made.predict(np.zeros((3, 5), np.float32), entity_ids=0, now=0)
    with pytest.raises(RuntimeError, match="no world"):
        ThresholdAgent().predict(np.zeros((3, 5), np.float32), entity_ids=0, now=0)


def test_a_loaded_agent_keeps_how_it_was_tuned(tmp_path):
    made = ThresholdAgent(quick_ranker(), sends_per_week=2.5, num_members=40, weeks=7)
    made.world = world("pronounced")
    made.save(tmp_path)
    again = ThresholdAgent.load(tmp_path)
    assert again.settings.to_dict() == {"sends_per_week": 2.5, "num_members": 40, "weeks": 7}


def test_an_untrained_copy_has_neither_the_threshold_nor_the_weights(tuned):
    copy = tuned.untrained_copy(world("pronounced"))
    assert type(copy) is ThresholdAgent
    assert (copy.threshold, copy.name) == (0.0, tuned.name)
    assert copy.settings == tuned.settings
    assert copy.ranker is not tuned.ranker
    assert copy.ranker.state() != tuned.ranker.state()
    assert tuned.threshold > 0
