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
)
from slowfast_rl.members.observations import opportunity_observation
from slowfast_rl.members.population import Population
from slowfast_rl.services.json_lines import probability_or_none
from slowfast_rl.store import pacing_plan
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
