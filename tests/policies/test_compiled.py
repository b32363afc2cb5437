"""A user's score and pace are compiled when the agent is made."""

import numba
import numpy as np
import pytest

import slowfast_rl as sf
from slowfast_rl.fast import PacedExecutor
from slowfast_rl.members.observations import opportunity_observation
from slowfast_rl.members.population import Population
from slowfast_rl.policies.contracts import BasePacer, BaseRanker
from slowfast_rl.store import pacing_plan
from tests.members.worlds import world
from tests.policies.classes import Weighing


class Jitted(BaseRanker):
    name = "jitted"

    @staticmethod
    @numba.njit
    def score(opportunity, topic, quality, launch, log, weights):
        return quality


class TextScore(BaseRanker):
    name = "text"

    @staticmethod
    def score(opportunity, topic, quality, launch, log, weights):
        return quality.upper()


class NumberScore(BaseRanker):
    name = "number"
    score = 3


class TextPace(BasePacer):
    name = "text"

    @staticmethod
    def pace(opportunity, plan_rows, pacing):
        return "soon"


@pytest.mark.parametrize(
    ("fast", "message"),
    [
        (PacedExecutor(ranker=TextScore()), "TextScore.score cannot be compiled by numba"),
        (PacedExecutor(ranker=NumberScore()), "3 is no function; allowed is a static method"),
        (PacedExecutor(TextPace()), "TextPace.pace cannot be compiled by numba"),
    ],
)
@pytest.mark.parametrize("agent", [sf.SlowFastAgent, sf.SinglePolicyAgent])
def test_a_function_that_does_not_compile_is_refused_when_the_agent_is_made(agent, fast, message):
    with pytest.raises(ValueError, match=message) as raised:
        agent(fast=fast)
    assert "\n" not in str(raised.value)


def test_a_score_that_is_jitted_already_ranks_as_any_other():
    w = world("pronounced")
    executor = sf.SlowFastAgent(fast=PacedExecutor(ranker=Jitted())).fast
    target = np.full((50, 2), 4, np.int32)
    week = executor.run_week(Population(w, 50, 3, 3), target)
    wanted = PacedExecutor().run_week(Population(w, 50, 3, 3), target)
    np.testing.assert_array_equal(week.reward, wanted.reward)


def test_a_score_that_reads_past_its_weights_raises():
    executor = PacedExecutor(ranker=Weighing())  # it has none
    with pytest.raises(IndexError):
        executor.run_week(Population(world("pronounced"), 20), np.full((20, 2), 4, np.int32))


@pytest.mark.parametrize("size", [1, 300])
def test_a_score_that_reads_past_its_weights_raises_at_one_decision_as_at_many(size):
    w, population = world("pronounced"), Population(world("pronounced"), size)
    plan = pacing_plan(np.full((size, 2), 99), 0)
    obs, ids, now = opportunity_observation(population), population.members, population.now
    with pytest.raises(IndexError):
        PacedExecutor(ranker=Weighing()).choose(w, obs, plan, ids, now, 0)
