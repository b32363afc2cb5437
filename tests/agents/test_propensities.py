"""Which probability a decision is logged with."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose

from slowfast_rl.fast import (
    BasePacer,
    BidPricePacer,
    CoinPacer,
    ExactPacer,
    PacedExecutor,
    PPOExecutor,
)
from slowfast_rl.members.observations import opportunity_observation
from slowfast_rl.members.population import Population
from slowfast_rl.services.json_lines import probability_or_none
from slowfast_rl.store import pacing_plan
from tests.agents.own_parts import OwnExecutor
from tests.contracts.parts import random_ppo_executor
from tests.members.worlds import world


@pytest.mark.parametrize("pacer", [ExactPacer(), CoinPacer()], ids=lambda pacer: pacer.name)
def test_propensities_are_the_shares_of_coins_that_choose_the_action(pacer):
    w, trials = world("shaped"), 4000
    population = Population(w, 6)
    plan = pacing_plan(
        [[0, 0], [1, 1], [3, 1], [3, 2], [99, 99], [3, 2]], 0, shape=[0, 0, 3, 1, 0, 0]
    )
    arguments = opportunity_observation(population), plan, population.members, population.now
    choices = [PacedExecutor(pacer).choose(w, *arguments, seed) for seed in range(trials)]
    sent = np.array([choice.actions > 0 for choice in choices])
    odds = np.where(sent, 1, -1) * np.array([choice.propensity for choice in choices])
    opportunity = np.where(odds > 0, odds, 1 + odds)  # of a send, whatever happened
    assert_allclose(opportunity, np.tile(opportunity[:1], (trials, 1)), rtol=1e-12)
    assert_allclose(sent.mean(axis=0), opportunity[0], atol=4 * 0.5 / trials**0.5)
    assert opportunity[0][0] == 0
    assert opportunity[0][4] == 1
    assert opportunity[0][5] == 0  # it is not opted in
    assert len(set(opportunity[0])) > 3


def test_a_pacer_without_coins_is_certain_of_what_it_does():
    w = world("shaped")
    population = Population(w, 200)
    pacer = BidPricePacer.with_quantiles([[-1.0, 0.0, 1.0]] * len(w.channels))
    plan = pacing_plan(np.full((200, len(w.channels)), 2), 0)
    arguments = opportunity_observation(population), plan, population.members, population.now
    choice = PacedExecutor(pacer).choose(w, *arguments, 0)
    assert 0 < (choice.actions > 0).mean() < 1
    assert (choice.propensity == 1).all()


class Strict(BasePacer):
    """Considers every fourth opportunity, and then asks for a score that half of them have."""

    name = "strict_for_a_test"

    @staticmethod
    def pace(opportunity, plan, pacing):
        return np.float32(0.5), np.float32(1), np.float32(4)


def test_a_hold_whose_candidates_are_not_worth_a_send_is_certain():
    w, trials = world("pronounced"), 400
    population = Population(w, 100)
    plan = pacing_plan(np.full((100, len(w.channels)), 5), 0)
    arguments = opportunity_observation(population), plan, population.members, population.now
    choices = [PacedExecutor(Strict()).choose(w, *arguments, seed) for seed in range(trials)]
    sent = np.array([choice.actions > 0 for choice in choices])
    propensity = np.array([choice.propensity for choice in choices])
    never, sometimes = ~sent.any(axis=0), sent.any(axis=0)
    assert 5 < never.sum() < 95
    assert (propensity[:, never] == 1).all()
    assert_allclose(propensity[:, sometimes][sent[:, sometimes]], 0.25)
    assert_allclose(propensity[:, sometimes][~sent[:, sometimes]], 0.75)


def test_an_answer_whose_probability_is_unknown_is_json():
    assert "NaN" not in json.dumps(
        {"propensity": probability_or_none(np.float64("nan"))}, allow_nan=False
    )


class Priced(BasePacer):
    """Considers every third send, of a score that exceeds content quality 0."""

    name = "priced"

    @staticmethod
    def pace(opportunity, plan_rows, pacing):
        return 0.0, 1.0, 3.0


class Unwilling(BasePacer):
    """Wants less than nothing."""

    name = "unwilling"

    @staticmethod
    def pace(opportunity, plan_rows, pacing):
        return -np.inf, -1.0, 1.0


def chosen_under_many_seeds(executor, trials=3000):
    """Decisions at the same opportunities under many seeds: sent [T, B], propensity [T, B]."""
    w = world("pronounced")
    population = Population(w, 30)
    plan = pacing_plan(np.full((30, len(w.channels)), 5), 0)
    arguments = opportunity_observation(population), plan, population.members, population.now
    choices = [executor.choose(w, *arguments, seed) for seed in range(trials)]
    sent = np.array([choice.actions > 0 for choice in choices])
    return sent, np.array([choice.propensity for choice in choices])


def test_a_hold_because_no_candidate_is_worth_it_is_certain():
    sent, propensity = chosen_under_many_seeds(PacedExecutor(Priced()))
    never = ~sent.any(axis=0)
    assert 0 < never.mean() < 1
    assert (propensity[:, never] == 1).all()
    assert_allclose(propensity[sent], 1 / 3)
    assert_allclose(propensity[:, ~never][~sent[:, ~never]], 2 / 3)
    assert_allclose(sent[:, ~never].mean(axis=0), 1 / 3, atol=0.05)


def test_a_pacer_that_wants_less_than_nothing_holds_with_certainty():
    sent, propensity = chosen_under_many_seeds(PacedExecutor(Unwilling()), trials=3)
    assert not sent.any()
    assert (propensity == 1).all()


@pytest.mark.parametrize("planned", [True, False])
def test_ppo_knows_the_probability_of_what_it_does(planned):
    executor = random_ppo_executor(world("pronounced"))
    if not planned:
        executor = PPOExecutor(planned=False, num_envs=16, weeks=3, n_steps=8, hidden=8).untrained(
            world("pronounced"), 3
        )
    sent, propensity = chosen_under_many_seeds(executor, trials=1500)
    send = np.where(sent, propensity, 1 - propensity)
    assert_allclose(send, np.tile(send[:1], (len(send), 1)), atol=1e-6)
    assert_allclose(sent.mean(axis=0), send[0], atol=0.06)
    assert 0 < sent.mean() < 1


def test_an_executor_that_does_not_know_its_probabilities_is_certain_only_of_what_it_must_do():
    w = world("pronounced")
    population = Population(w, 30)
    left = np.arange(30) % 3 == 0
    target = np.where(left[:, None], 0, np.full((30, len(w.channels)), 5))
    observations = opportunity_observation(population)
    arguments = observations, pacing_plan(target, 0), population.members, population.now
    choice = OwnExecutor().choose(w, *arguments, 0)
    free = ~left & population.opted_in[:, w.schedule[0].channel]
    assert (choice.propensity[~free] == 1).all()
    assert np.isnan(choice.propensity[free]).all()
    assert 0 < free.sum() < 20
