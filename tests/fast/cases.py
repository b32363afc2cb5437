"""Opportunities as jitted fast policies receive them, called from Python."""

import json

import numpy as np

from slowfast_rl.benchmarks.numpy_equations import Equations
from slowfast_rl.members.observations import (
    opportunity_features,
    opportunity_observation,
    weekly_features,
)
from slowfast_rl.members.opportunity import Opportunity, draw_candidates, opportunity_at
from slowfast_rl.members.population import Population
from slowfast_rl.members.state import TOPIC_LAST_SENT
from slowfast_rl.policies.component_files import from_node, to_node
from tests.members.worlds import world


def chance_of(population: Population, i: int) -> Opportunity:
    """Member i's opportunity at this slot."""
    opportunity = opportunity_at(population.simulation, i, population.slot)
    return opportunity._replace(flag_threshold=np.float32(opportunity.flag_threshold))


def rank(population: Population, ranker, i: int) -> tuple[int, float]:
    """The candidate, counted from 1, that a ranker picks for member i at this slot; its score."""
    simulation, opportunity = population.simulation, chance_of(population, i)
    k = population.world.num_candidates
    topics, qualities = np.empty(k, np.uint8), np.empty(k, np.float32)
    draw_candidates(opportunity, topics, qualities)
    today = simulation.launches[opportunity.day]
    return ranker.function(opportunity, topics, qualities, simulation.log, today, ranker.weights)


def ranked(population: Population, ranker) -> np.ndarray:
    """The candidate, counted from 1, that a ranker picks for each member at this slot, [N]."""
    return np.array([rank(population, ranker, i)[0] for i in range(population.num_members)])


def random_week(population: Population, generator: np.random.Generator, share: float = 0.4) -> None:
    """Live through a week under random actions."""
    for _ in range(population.world.slots_per_week):
        actions = generator.integers(1, population.world.num_candidates + 1, population.num_members)
        population.step(np.where(generator.random(population.num_members) < share, actions, 0))


def true_effect(population: Population, choice: np.ndarray) -> np.ndarray:
    """(1 - p_day) p_m of sending candidate ``choice``, from 0, now, by the model's own page, [N].

    p_day is that of the present state, as if the day began now.
    """
    w, simulation, rows = population.world, population.simulation, np.arange(population.num_members)
    page, state, traits = Equations(w), simulation.state, simulation.traits
    slot = w.schedule[population.slot]
    c, day = slot.channel, state.week * 7 + slot.weekday
    names = [f.name for f in weekly_features(w) + opportunity_features(w)]
    observations = opportunity_observation(population)

    def shown(what: str) -> np.ndarray:
        columns = [names.index(f"candidate_{j + 1}_{what}") for j in range(w.num_candidates)]
        return observations[:, columns][rows, choice]

    topic = np.argmax([shown(f"is_topic_{d}") for d in range(w.num_topics)], axis=0)
    launches, fatigue = simulation.launches[day], state.fatigue
    total, kappa = fatigue.sum(axis=1), traits.fatigue_sensitivity
    p_day = page.p_day(
        traits.base_logit, state.habit, state.goodwill, kappa, total, launches.sum(axis=1),
        slot.weekday,
    )  # fmt: skip
    r = page.relevance(shown("quality"), traits.taste[rows, topic], launches[rows, topic])
    felt = page.felt(kappa, fatigue[:, c], total - fatigue[:, c])
    since = day - simulation.log.by_topic[rows, topic, TOPIC_LAST_SENT]
    return (1 - p_day) * page.response(c, traits.responsiveness[:, c], r, since, felt, state.habit)


def rebuilt(part, changes=None, name="pronounced"):
    """A pacer, ranker or executor as a file would give it back, its state changed."""
    arrays = {}
    node = json.loads(json.dumps(to_node(part, "part", arrays)))
    node["state"] |= changes or {}
    return from_node(node, part.kind, world(name), "part", arrays)
