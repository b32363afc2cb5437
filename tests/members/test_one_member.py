"""A population's members against the plain simulator, slot by slot."""

from typing import Any

import numpy as np
import pytest

from slowfast_rl.members.population import Population
from slowfast_rl.members.state import CAUSAL_OPENS, CHURNED, IGNORED, LEDGER_COLUMNS, VIEWS
from slowfast_rl.members.traits import MemberTraits
from tests.members.one_member import Life
from tests.members.worlds import world

MEMBERS, WEEKS = 24, 8
SEED, STREAM, FIRST = 11, 3, 500
CLOSE = {"abs": 1e-4}
NEVER = -1e6


def actions_of(population: Population, slots: int) -> np.ndarray:
    """[slots, N] random actions: the first members hold, the last ones always receive."""
    rng = np.random.default_rng(0)
    n = population.num_members
    busy = rng.random((slots, n)) < np.linspace(0, 1, n)
    return busy * rng.integers(1, population.world.num_candidates + 1, (slots, n))


def row_of(traits: MemberTraits, i: int) -> Any:
    return MemberTraits(*(values[i] for values in traits))


def lives_of(population: Population, sampled: bool) -> list[Life]:
    return [
        Life(
            population.world,
            row_of(population.simulation.traits, i),
            seed=SEED,
            stream=STREAM,
            member=FIRST + i,
            calendar=population.simulation.launches,
            sampled=sampled,
        )
        for i in range(population.num_members)
    ]


def check_state(population: Population, i: int, life: Life) -> None:
    state = population.simulation.state
    assert state.habit[i] == pytest.approx(life.H, **CLOSE)
    assert state.goodwill[i] == pytest.approx(life.G, **CLOSE)
    assert state.fatigue[i] == pytest.approx(life.F, **CLOSE)
    assert state.opted_in[i].tolist() == life.O
    assert bool(state.alive[i]) == life.alive
    assert state.week[i] == life.week


def check_log(population: Population, i: int, life: Life) -> None:
    log = population.simulation.log
    assert log.by_member[i] == pytest.approx(life.viewing_days.values(), **CLOSE)
    for c, channel in enumerate(life.channels):
        counts = [v for count in channel.counts() for v in count.values()]
        last = NEVER if channel.last_sent is None else channel.last_sent
        expected = [*counts, *channel.light, *channel.heavy, last]
        assert log.by_channel[i, c] == pytest.approx(expected, **CLOSE)
    for d, topic in enumerate(life.topics):
        last = NEVER if topic.last_sent is None else topic.last_sent
        assert log.by_topic[i, d].tolist() == [topic.sends, topic.opens, last]


def check_ledger(population: Population, i: int, life: Life) -> None:
    for first, ledger in ((0, life.ledger), (LEDGER_COLUMNS, life.last_ledger)):
        row = population.simulation.ledger[i, first:]
        assert row[VIEWS] == pytest.approx(ledger.views, **CLOSE)
        assert row[CAUSAL_OPENS] == pytest.approx(ledger.causal_opens, **CLOSE)
        assert row[CHURNED] == ledger.churned
        assert row[IGNORED] == ledger.ignored


@pytest.mark.parametrize("reward", ["expected", "sampled"])
@pytest.mark.parametrize("name", ["pronounced", "calibrated", "eventful", "in_app"])
def test_every_slot_of_every_life_agrees_with_the_plain_simulator(name: str, reward: str) -> None:
    population = Population(
        world(name),
        MEMBERS,
        population_seed=2,
        luck_seed=SEED,
        luck_stream=STREAM,
        first_member=FIRST,
        reward=reward,
    )
    simulation = lives_of(population, reward == "sampled")
    slots = population.world.slots_per_week
    actions = actions_of(population, WEEKS * slots)
    agreed = np.ones(MEMBERS, int)
    for t in range(WEEKS * slots):
        rewards, events = population.step(actions[t])
        for i, life in enumerate(simulation):
            happened, reward_now = life.step(t % slots, int(actions[t, i]))
            if life.doubtful:
                continue
            assert [bool(e[i]) for e in events] == happened.values()
            assert rewards[i] == pytest.approx(reward_now, **CLOSE)
            check_state(population, i, life)
            check_ledger(population, i, life)
            if life.alive:
                check_log(population, i, life)
            agreed[i] = t + 1
    assert (agreed == WEEKS * slots).mean() > 0.8, "too many lives were cut short by doubt"


def test_eventful_lives_meet_every_event() -> None:
    """Else the comparison above would prove little."""
    population = Population(
        world("eventful"), MEMBERS, 2, SEED, luck_stream=STREAM, first_member=FIRST
    )
    actions = actions_of(population, WEEKS * 21)
    seen, ignored, returned, at_ceiling = np.zeros(5), 0.0, 0, 0
    for t, action in enumerate(actions):
        out = ~population.opted_in
        events = population.step(action)[1]
        seen += [e.sum() for e in events]
        at_ceiling += int((population.simulation.state.fatigue == 6).sum())
        if t % 21 == 20:
            returned += int((out & population.opted_in).sum())
            ignored += population.last_week().ignored.sum()
    assert (seen > 10).all()
    assert ignored > 10
    assert returned > 1
    assert at_ceiling > 10
    assert 3 < population.alive.sum() < MEMBERS - 3
