"""What agents see, by name: the plain simulator's log, the candidates, the plan; never a latent."""

from collections.abc import Iterator

import numpy as np
import pytest

from slowfast_rl.members.observations import (
    Feature,
    opportunity_features,
    opportunity_observation,
    privileged_features,
    privileged_observation,
    weekly_features,
    weekly_observation,
)
from slowfast_rl.members.population import Population
from tests.members.one_member import Life
from tests.members.policies import play, random_actions
from tests.members.test_one_member import CLOSE, FIRST, SEED, STREAM, lives_of
from tests.members.worlds import world

MEMBERS, WEEKS = 6, 5
WINDOWS = ("this_week", "last_week", "mean_4_weeks", "mean_20_weeks")
Seen = dict[str, float]


def days_since(last: float | None, day: int) -> float:
    return 60 if last is None else min(day - last, 60)


def share(dose: list[float], event: int) -> float:
    """Opens (1) or dismissals (2) per send, shrunk to .1 by ten sends."""
    return (dose[event] + 1) / (dose[0] + 10)


def seen_on_a_day(life: Life, weekday: int) -> Seen:
    w, day = life.world, 7 * life.week + weekday
    seen: Seen = {"tenure": life.week}
    for window, value in zip(WINDOWS, life.viewing_days.values(), strict=True):
        seen[f"viewing_days_{window}"] = value
    for c, channel in enumerate(w.channels):
        log = life.channels[c]
        for event in ("sends", "opens", "dismissals"):
            for window, value in zip(WINDOWS, getattr(log, event).values(), strict=True):
                seen[f"{channel}_{event}_{window}"] = value
        for dose in ("light", "heavy"):
            counts = getattr(log, dose)
            seen[f"{channel}_open_share_after_{dose}_weeks"] = share(counts, 1)
            seen[f"{channel}_dismissal_share_after_{dose}_weeks"] = share(counts, 2)
        seen[f"{channel}_days_since_send"] = days_since(log.last_sent, day)
        seen[f"{channel}_opted_in"] = life.O[c]
    for d, topic in enumerate(life.topics):
        seen[f"topic_{d}_sends"], seen[f"topic_{d}_opens"] = topic.sends, topic.opens
        seen[f"topic_{d}_days_since_send"] = days_since(topic.last_sent, day)
        seen[f"topic_{d}_launch"] = life.calendar[day, d]
    return seen


def seen_at_a_slot(life: Life, s: int, plan: tuple[int, ...] | None) -> Seen:
    w, slot = life.world, life.world.schedule[s]
    day, time = 7 * life.week + slot.weekday, life.week * len(w.schedule) + s
    seen: Seen = {"weekday": slot.weekday, "has_plan": plan is not None}
    seen["slots_left"] = sum(later.channel == slot.channel for later in w.schedule[s:])
    for c, channel in enumerate(w.channels):
        target = plan[c] if plan else 0
        seen[f"slot_is_{channel}"] = c == slot.channel
        seen[f"{channel}_plan_target"] = target
        seen[f"{channel}_plan_left"] = max(0, target - life.channels[c].sends.this)
    for j in range(1, w.num_candidates + 1):
        topic, quality = life.candidate(time, j)
        seen[f"candidate_{j}_quality"] = quality
        seen[f"candidate_{j}_launch_flag"] = life.calendar[day, topic] >= 0.5
        for d in range(w.num_topics):
            seen[f"candidate_{j}_is_topic_{d}"] = d == topic
    return seen


def names(features: tuple[Feature, ...]) -> list[str]:
    return [feature.name for feature in features]


def check_row(features: tuple[Feature, ...], row: np.ndarray, expected: Seen) -> None:
    assert len(row) == len(features)
    assert sorted(names(features)) == sorted(expected)
    assert row == pytest.approx([float(expected[name]) for name in names(features)], **CLOSE)


def lived(name: str) -> Iterator[tuple[Population, list[Life], int]]:
    """Yield a population and its plain lives before every slot."""
    population = Population(world(name), MEMBERS, 2, SEED, luck_stream=STREAM, first_member=FIRST)
    simulation = lives_of(population, sampled=False)
    slots = population.world.slots_per_week
    for t, actions in enumerate(random_actions(population, WEEKS).reshape(-1, MEMBERS)):
        certain = [life for life in simulation if life.alive and not life.doubtful]
        assert len(certain) > 1
        yield population, simulation, t % slots
        population.step(actions)
        for life, action in zip(simulation, actions, strict=True):
            life.step(t % slots, int(action))


@pytest.mark.parametrize("name", ["pronounced", "eventful", "in_app"])
def test_signals_are_what_was_logged(name: str) -> None:
    w = world(name)
    plan = tuple(range(2, 2 + len(w.channels)))
    targets = np.tile(np.array(plan, np.int32), (MEMBERS, 1))
    for population, simulation, s in lived(name):
        week = weekly_observation(population)
        without, planned = (
            opportunity_observation(population),
            opportunity_observation(population, targets),
        )
        weekday = w.schedule[s].weekday
        for i, life in enumerate(simulation):
            if life.doubtful or not life.alive:
                continue
            check_row(weekly_features(w), week[i], seen_on_a_day(life, weekday if s else 0))
            features = weekly_features(w) + opportunity_features(w)
            today = seen_on_a_day(life, weekday)
            check_row(features, without[i], today | seen_at_a_slot(life, s, None))
            check_row(features, planned[i], today | seen_at_a_slot(life, s, plan))


def test_candidates_are_the_ones_that_sends_deliver() -> None:
    p = Population(world("in_app"), 400, luck_seed=SEED)
    features = names(weekly_features(p.world) + opportunity_features(p.world))
    for j in (1, 4, 5, 6):
        observations = opportunity_observation(p)
        first = features.index(f"candidate_{j}_is_topic_0")
        topic = observations[:, first : first + 5].argmax(axis=1)
        before = p.simulation.log.by_topic[:, :, 0].copy()
        sent = p.step(np.full(400, j))[1].sent.astype(bool)
        rose = p.simulation.log.by_topic[:, :, 0] - before
        assert sent.any()
        assert np.array_equal(rose[sent].argmax(axis=1), topic[sent])
        assert (rose.sum(axis=1) == sent).all()


def test_a_better_candidate_is_opened_more_often() -> None:
    p = Population(world("pronounced"), 20_000, luck_seed=SEED)
    features = names(weekly_features(p.world) + opportunity_features(p.world))
    columns = [features.index(f"candidate_{j}_quality") for j in range(1, 5)]
    quality = opportunity_observation(p)[:, columns]
    best, worst = p.clone(), p.clone()
    _, high = best.step(quality.argmax(axis=1) + 1)
    _, low = worst.step(quality.argmin(axis=1) + 1)
    assert high.opened.sum() > 1.5 * low.opened.sum()


def test_nothing_latent_is_seen() -> None:
    seen = set(names(weekly_features(world("in_app")) + opportunity_features(world("in_app"))))
    latent = set(names(privileged_features(world("in_app"))))
    assert not seen & latent
    for word in ("habit", "goodwill", "fatigue", "sensitivity", "logit", "taste", "frailty"):
        assert not [name for name in seen if word in name]


def test_members_with_the_same_log_look_the_same_whatever_they_are() -> None:
    one, other = (Population(world("homogeneous"), 50, seed, 4) for seed in (1, 2))
    assert not np.array_equal(one.simulation.traits.taste, other.simulation.traits.taste)
    assert np.array_equal(weekly_observation(one), weekly_observation(other))
    assert np.array_equal(opportunity_observation(one), opportunity_observation(other))


def test_privileged_signals_are_the_latents() -> None:
    p = Population(world("eventful"), 300, luck_seed=4)
    play(p, random_actions(p, 3))
    observations = dict(
        zip(names(privileged_features(p.world)), privileged_observation(p).T, strict=True)
    )
    state, traits = p.simulation.state, p.simulation.traits
    assert np.array_equal(observations["habit"], state.habit)
    assert np.array_equal(observations["goodwill"], state.goodwill)
    assert np.array_equal(observations["base_logit"], traits.base_logit)
    assert np.array_equal(observations["fatigue_sensitivity"], traits.fatigue_sensitivity)
    assert np.array_equal(observations["dismissal_propensity"], traits.dismissal_propensity)
    for c, channel in enumerate(p.world.channels):
        assert np.array_equal(observations[f"{channel}_fatigue"], state.fatigue[:, c])
        assert np.array_equal(
            observations[f"{channel}_responsiveness"], traits.responsiveness[:, c]
        )
        assert np.array_equal(
            observations[f"{channel}_opt_out_frailty"], traits.opt_out_frailty[:, c]
        )
    for d in range(4):
        assert np.array_equal(observations[f"taste_topic_{d}"], traits.taste[:, d])


@pytest.mark.parametrize("name", ["pronounced", "eventful", "in_app"])
def test_signals_stay_within_their_bounds(name: str) -> None:
    p = Population(world(name), 300, luck_seed=4)
    for features, observations in (
        (weekly_features, weekly_observation),
        (lambda w: weekly_features(w) + opportunity_features(w), opportunity_observation),
        (privileged_features, privileged_observation),
    ):
        for actions in random_actions(p, 2):
            play(p, actions[None])
            values, table = observations(p), features(p.world)
            assert values.dtype == np.float32
            for k, feature in enumerate(table):
                assert feature.low < feature.high
                assert feature.low <= values[:, k].min(), feature.name
                assert values[:, k].max() <= feature.high, feature.name


@pytest.mark.parametrize("name", ["pronounced", "in_app"])
def test_every_feature_has_a_name_of_its_own_and_a_unit(name: str) -> None:
    w = world(name)
    table = weekly_features(w) + opportunity_features(w) + privileged_features(w)
    assert len(set(names(table))) == len(table)
    assert all(feature.unit for feature in table)


def test_signals_are_fresh_arrays() -> None:
    p = Population(world("pronounced"), 5, luck_seed=4)
    for observations in (weekly_observation, opportunity_observation, privileged_observation):
        first = observations(p)
        kept = first.copy()
        first[:] = 7
        assert np.array_equal(observations(p), kept)
