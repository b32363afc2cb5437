"""What one setting of a threshold or a plan sends: how much, and how relevant it is."""

from typing import NamedTuple

import numpy as np

from slowfast_rl.evaluation.statistics import Interval, ratio_interval
from slowfast_rl.fast import UpliftRanker
from slowfast_rl.fast.proposals import propose
from slowfast_rl.members.arrays import Float32, Float64, Int8, Int64
from slowfast_rl.members.constants import constants
from slowfast_rl.members.population import Population
from slowfast_rl.policies.columns import columns
from slowfast_rl.policies.stepwise import StepwiseExecutor


class Setting(NamedTuple):
    """One point of a sweep: means per member with their intervals."""

    label: str
    sends: Interval  # a week, per member alive
    relevance: Interval  # r / E[r] of what was sent; 1 is a random candidate
    open_rate: Interval  # logged opens per send
    response: Interval  # true chance that a send causes a view
    best: Interval  # share of sends whose candidate was the most relevant of the K


class Watched:
    """Sends the candidate of the greatest predicted effect, and records its true relevance.

    Args:
        population: the members that are simulated, alive or not.
        ranker: the causal model.
        threshold: effect from which a candidate is sent; None paces exactly to the plan.
    """

    def __init__(
        self, population: Population, ranker: UpliftRanker, threshold: float | None
    ) -> None:
        self.population, self.ranker, self.threshold = population, ranker, threshold
        n = population.num_members
        self.relevance, self.best = np.zeros(n), np.zeros(n)
        world = population.world
        self._column = columns(world)
        topics, candidates = range(world.num_topics), range(1, world.num_candidates + 1)
        self._quality = [self._column[f"candidate_{j}_quality"] for j in candidates]
        self._topic = np.array(
            [[self._column[f"candidate_{j}_is_topic_{d}"] for d in topics] for j in candidates]
        )

    def act(self, observations: Float32, masks: Int8, coins: Float32) -> Int64:
        """Return actions [B] of the members alive."""
        world, rows = self.population.world, np.arange(len(observations))
        effects = propose(world, None, self.ranker, observations).scores
        pick = effects.argmax(axis=1)
        if self.threshold is None:
            channels = world.channels
            here = observations[:, [self._column[f"slot_is_{c}"] for c in channels]].argmax(axis=1)
            left = observations[:, [self._column[f"{c}_plan_left"] for c in channels]][rows, here]
            send = coins * observations[:, self._column["slots_left"]] < left
        else:
            send = effects[rows, pick] >= self.threshold
        send &= masks[:, 1] > 0
        true = self._relevance(observations)
        alive = np.flatnonzero(self.population.alive)
        self.relevance[alive] += true[rows, pick] * send
        self.best[alive] += (true.argmax(axis=1) == pick) * send
        return np.where(send, pick + 1, 0)

    def _relevance(self, observations: Float32) -> Float64:
        """Return the true r / E[r] of every candidate, [B, K]: the model's equation 2."""
        simulation, world = self.population.simulation, self.population.world
        alive = np.flatnonzero(self.population.alive)
        topic = observations[:, self._topic].argmax(axis=2)
        day = simulation.state.week[alive] * 7 + world.schedule[self.population.slot].weekday
        launch = simulation.launches[day[:, None], topic]
        taste = np.take_along_axis(simulation.traits.taste[alive], topic, axis=1)
        w = world.response
        logit = observations[:, self._quality] + w.taste_weight * taste + w.intercept
        r = 1 / (1 + np.exp(-(logit + w.launch_weight * launch)))
        return np.asarray(r / constants(world).mean_relevance, np.float64)


def measure(
    start: Population,
    ranker: UpliftRanker,
    weeks: int,
    *,
    threshold: float | None = None,
    plan: tuple[int, ...] | None = None,
) -> Setting:
    """Simulate some weeks under one threshold without a plan, or under one plan for all.

    Args:
        start: members at the beginning of a week; they stay as they are.
        ranker: the causal model.
        weeks: how many.
        threshold: a difference in probability, or None.
        plan: sends a week per channel, or None.

    Raises:
        ValueError: not exactly one of threshold and plan is given.
    """
    if (threshold is None) == (plan is None):
        raise ValueError(f"threshold is {threshold} and plan is {plan}; one of them is needed")
    population = start.clone()
    policy = Watched(population, ranker, threshold)
    executor = StepwiseExecutor(policy, planned=plan is not None)
    n, channels = population.num_members, len(population.world.channels)
    wanted = np.array(plan or (0,) * channels, np.int32)
    sends, opens, responses, weeks_alive = (np.zeros(n) for _ in range(4))
    for _ in range(weeks):
        weeks_alive += population.alive
        week = executor.run_week(population, np.where(population.opted_in, wanted, 0))
        sends += week.sends.sum(axis=1)
        opens += week.opens.sum(axis=1)
        responses += week.causal_opens
    label = f"effect ≥ {threshold:g}" if plan is None else " + ".join(map(str, plan))
    totals = (sends, weeks_alive), *((part, sends) for part in (policy.relevance, opens, responses))
    parts = [_ratio(*pair) for pair in (*totals, (policy.best, sends))]
    return Setting(label, *parts)


def _ratio(total: Float64, base: Float64) -> Interval:
    found = ratio_interval(total, base)
    if found is None:
        raise ValueError("nothing was sent in this setting; allowed is one that sends")
    return found
