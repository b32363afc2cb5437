from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from slowfast_rl.fast import (
    BidPricePacer,
    PacedExecutor,
    PPOExecutor,
    QualityRanker,
    ThresholdPacer,
    UpliftRanker,
)
from slowfast_rl.fast.trials import collect_trials, trial_terms
from slowfast_rl.fast.uplift import UNTRAINED, Weights, member_logit
from slowfast_rl.members.loading import load_world
from slowfast_rl.members.observations import opportunity_observation
from slowfast_rl.members.parameters import PerChannel
from slowfast_rl.members.population import Population
from slowfast_rl.members.world import Slot
from slowfast_rl.policies.guard import NO_CAP
from slowfast_rl.store import pacing_plan
from tests.fast.cases import random_week, rank, ranked, rebuilt, true_effect
from tests.members.worlds import world


def scores(population, ranker):
    """The candidate that a ranker picks for each member at this slot, from 0, and its score."""
    picked = [rank(population, ranker, i) for i in range(population.num_members)]
    return np.array([j for j, _ in picked]) - 1, np.array([value for _, value in picked])


@pytest.fixture(scope="module")
def learned():
    return UpliftRanker(num_members=1024, weeks=30).learn(world("pronounced"), seed=1)


def test_untrained_it_lives_the_same_weeks_as_quality():
    one, other = (Population(world("eventful"), 200, 1, 1) for _ in range(2))
    target = np.random.default_rng(0).integers(0, 8, (200, 2)).astype(np.int32)
    for _ in range(4):
        week = PacedExecutor(ranker=QualityRanker()).run_week(one, target)
        same = PacedExecutor(ranker=UpliftRanker()).run_week(other, target)
        for name in week._fields:
            assert_array_equal(getattr(week, name), getattr(same, name), err_msg=name)


def some(size):
    return st.tuples(*[st.floats(-1, 1, width=32)] * size)


@settings(max_examples=20)
@given(st.builds(Weights, some(7), some(5), some(17), some(6), some(2)), st.integers(0, 20))
def test_the_score_is_the_greatest_effect_that_the_model_gives_a_candidate(weights, slot):
    population = Population(world("pronounced"), 12, slot, slot)
    random_week(population, np.random.default_rng(slot), share=0.3)
    for _ in range(slot):
        population.step(np.zeros(12, np.int64))
    place = population.world.schedule[slot]
    effects = []
    for j in range(population.world.num_candidates):
        organic, response = trial_terms(population, np.full(12, j))
        view = weights.weekday[place.weekday] + organic @ np.array(weights.organic)
        respond = response @ np.array(weights.member + weights.candidate)
        respond += weights.channel[place.channel]
        effects.append(1 / (1 + np.exp(view)) / (1 + np.exp(-respond)))
    best, score = scores(population, UpliftRanker.with_weights(weights))
    assert_allclose(score, np.max(effects, axis=0), rtol=1e-4, atol=1e-7)
    assert_allclose(np.stack(effects)[best, np.arange(12)], score, rtol=1e-4, atol=1e-7)


def held_out(ranker, name_or_world="pronounced", members=400, weeks=24):
    """Predicted and true effects of the ranker's pick for other members, at one slot a week."""
    population = Population(name_or_world, members, 78, 78)
    generator = np.random.default_rng(0)
    predicted, true = [], []
    for week in range(weeks):
        random_week(population, generator, share=0.25)
        if week >= 6 and week % 3 == 0:
            at = population.clone()
            for _ in range(week % 21):
                at.step(np.zeros(members, np.int64))
            pick, score = scores(at, ranker)
            may = at.alive & at.opted_in[:, at.world.schedule[at.slot].channel]
            predicted.append(score[may])
            true.append(true_effect(at, pick)[may])
    return np.concatenate(predicted), np.concatenate(true)


def ranks(values):
    return values.argsort().argsort()


def test_predicted_effects_rank_and_match_the_true_effects_on_members_never_seen(learned):
    predicted, true = held_out(learned, world("pronounced"))
    assert np.corrcoef(ranks(predicted), ranks(true))[0, 1] > 0.5
    assert abs(predicted.mean() / true.mean() - 1) < 0.15
    order = predicted.argsort()
    low, high = np.split(order, [len(order) // 2])
    assert true[high].mean() > 1.7 * true[low].mean()


def test_where_messages_do_nothing_scores_are_near_zero_though_members_open_them():
    nothing = load_world("null", {"response.tap": 0.5})
    ranker = UpliftRanker(num_members=1024, weeks=30).learn(nothing, seed=1)
    predicted, true = held_out(ranker, nothing)
    assert_array_equal(true, 0)
    assert predicted.mean() < 0.004
    assert np.quantile(predicted, 0.99) < 0.04


def test_where_taste_dominates_the_liked_topic_is_picked():
    tasty = load_world("pronounced", {"response.taste_weight": 4, "traits.responsiveness": 0.4})
    ranker = UpliftRanker(num_members=512, weeks=30).learn(tasty, seed=1)
    assert ranker.learned.candidate[3] > 0.5
    population = Population(tasty, 300, 78, 78)
    generator = np.random.default_rng(0)
    for _ in range(26):
        random_week(population, generator)
    taste = population.simulation.traits.taste
    gain = []
    for _ in range(6):
        pick = ranked(population, ranker) - 1
        best = np.max([true_effect(population, np.full(300, j)) for j in range(4)], axis=0)
        mean = np.mean([true_effect(population, np.full(300, j)) for j in range(4)], axis=0)
        gain.append(((true_effect(population, pick) - mean).sum(), (best - mean).sum()))
        population.step(np.zeros(300, np.int64))
    assert taste.std() > 0.9
    mine, most = np.sum(gain, axis=0)
    assert mine > 0.6 * most


def test_the_coin_makes_sent_and_held_trials_alike():
    trials = collect_trials(world("pronounced"), 400, 12, 5)
    sent, held = trials.response[trials.sent], trials.response[~trials.sent]
    error = np.sqrt(sent.var(axis=0) / len(sent) + held.var(axis=0) / len(held))
    assert (np.abs(sent.mean(axis=0) - held.mean(axis=0)) < 5 * error + 1e-6).all()
    assert abs(trials.sent.mean() - 0.5) < 0.02


class Notebook(Population):
    """A population that notes, by slot, who was sent something, and by day, who viewed."""

    sent: list
    viewed: list

    def step(self, actions):
        slots = self.world.schedule
        if self.slot == 0 or slots[self.slot].weekday != slots[self.slot - 1].weekday:
            self.viewed.append(np.zeros(self.num_members, bool))
        self.sent.append((np.flatnonzero(actions), len(self.viewed) - 1))
        rewards, events = super().step(actions)
        self.viewed[-1] |= events.viewed.astype(bool)
        return rewards, events


@pytest.mark.parametrize("name", ["eventful", "in_app"])
def test_a_trials_label_is_whether_the_member_viewed_that_day(monkeypatch, name):
    monkeypatch.setattr("slowfast_rl.fast.trials.Population", Notebook)
    Notebook.sent, Notebook.viewed = [], []
    trials = collect_trials(world(name), 60, 4, 5)
    labels = [Notebook.viewed[day][rows] for rows, day in Notebook.sent]
    assert_array_equal(trials.viewed[trials.sent], np.concatenate(labels))
    assert 0.05 < trials.viewed.mean() < 0.95


def test_training_twice_on_a_seed_gives_the_same_weights(learned):
    again = UpliftRanker(num_members=1024, weeks=30).learn(world("pronounced"), seed=1)
    assert again.learned == learned.learned


def test_it_comes_back_from_its_state(learned):
    assert rebuilt(learned).learned == learned.learned


def test_it_learns_where_there_are_three_channels():
    ranker = UpliftRanker(num_members=128, weeks=6).learn(world("in_app"), seed=1)
    assert len(ranker.learned.channel) == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"organic": [1.0]},
        {"organic": ["x"] * 5},
        {"channel": []},
        {"channel": [float("nan")]},
        {"weekday": None},
        {"member": 3},
        {"colour": [1]},
    ],
)
def test_weights_that_are_not_allowed_are_refused_in_one_line(changes):
    with pytest.raises(ValueError, match=r"ranker weight.*allowed") as raised:
        rebuilt(UpliftRanker(), changes)
    assert "\n" not in str(raised.value)


def test_a_model_of_other_channels_is_refused_in_one_line():
    two_channels = UpliftRanker.with_weights(UNTRAINED._replace(channel=(0.0, 0.0)))
    executor, w = PacedExecutor(ranker=two_channels), world("in_app")
    population = Population(w, 20)
    obs, ids, now = opportunity_observation(population), population.members, population.now
    plan = pacing_plan(np.ones((20, 3), np.int32), 0)
    for use in (
        lambda: executor.run_week(population, plan.target),
        lambda: executor.choose(w, obs, plan, ids, now, 0),
        lambda: BidPricePacer(num_members=4, weeks=9).learn(w, two_channels),
        lambda: PPOExecutor(ranker=two_channels, num_envs=2, weeks=2, planned=False).untrained(w),
    ):
        with pytest.raises(
            ValueError, match="ranker learned on 2 channels; 3 are needed"
        ) as raised:
            use()
        assert "\n" not in str(raised.value)


def test_an_untrained_model_ranks_on_any_number_of_channels():
    learned = UpliftRanker.with_weights(UNTRAINED._replace(channel=tuple(range(-9, 0))))
    by_member, by_channel = np.zeros(4, np.float32), np.zeros((9, 23), np.float32)
    by_topic = np.zeros((4, 3), np.float32)

    def logits(ranker):
        log = by_member, by_channel, by_topic
        return [member_logit(ranker.weights, *log, c, 0) for c in range(9)]

    assert_allclose(logits(UpliftRanker()), -3.0)
    assert_allclose(np.diff(logits(learned)), 1.0)


def nine_channels():
    """A world of nine channels, each like push, whose slots follow one another every day."""
    w, names = world("pronounced"), tuple("abcdefghi")

    def widened(group):
        per_channel = {f.name for f in fields(group) if f.type == PerChannel}
        return replace(group, **{n: getattr(group, n)[:1] * len(names) for n in per_channel})

    groups = {f.name: getattr(w, f.name) for f in fields(w)}
    return replace(
        w,
        channels=names,
        schedule=tuple(Slot(day, 3600 * (8 + c), c) for day in range(7) for c in range(9)),
        menu=((0, 1),) * 9,
        safe_plan=(0,) * 9,
        **{n: widened(group) for n, group in groups.items() if is_dataclass(group)},
    )


def test_untrained_and_trained_it_sends_on_all_of_nine_channels():
    w, chances = nine_channels(), []
    population = Population(w, 60, 1, 1)
    for slot in w.schedule[:9]:
        _, score = scores(population, UpliftRanker())
        assert slot.channel == len(chances)
        chances.append(score.mean())
        population.step(np.zeros(60, np.int64))
    assert_allclose(chances, np.mean(chances), rtol=0.2)
    assert min(chances) > 0.02
    trained = UpliftRanker(num_members=128, weeks=8).learn(w, seed=1)
    assert len(trained.learned.channel) == 9
    for ranker in (UpliftRanker(), trained):
        executor = PacedExecutor(ThresholdPacer(threshold=0.01), ranker)
        week = executor.run_week(Population(w, 60, 1, 1), np.full((60, 9), NO_CAP, np.int32))
        assert (week.sends.sum(axis=0) > 60).all()
