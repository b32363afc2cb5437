"""Agents that learn from a log alone."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import slowfast_rl as sf
from slowfast_rl.agents import SinglePolicyAgent, SlowFastAgent
from slowfast_rl.agents.threshold import ThresholdAgent
from slowfast_rl.fast import AffinityRanker, BidPricePacer, PacedExecutor, PPOExecutor
from slowfast_rl.members.population import Population
from slowfast_rl.policies.class_checks import check_class
from slowfast_rl.policies.plan_exchange import plan_request
from slowfast_rl.slow import FixedPlanner, PPOPlanner, RolloutPlanner, UtilityPlanner
from tests.logs.learning import recorded


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """A small log."""
    return recorded(tmp_path_factory.mktemp("log") / "log", num_members=200, weeks=8)


class MeanPlanner(sf.slow.BasePlanner):
    """A user's own planner: everybody gets the plan, of those with sends, that was logged most."""

    name = "most_logged"

    def __init__(self):
        super().__init__()
        self.index = 0

    def learn_from_log(self, log, *, seed=0):
        plans = sf.logs.weekly_table(log).plans
        self.index = 1 + int(np.bincount(plans[plans > 0])[1:].argmax())
        return self

    def plan(self, request):
        return np.full(len(request.entity_ids), self.index)

    def state(self):
        return {"index": self.index}

    @classmethod
    def from_state(cls, world, settings, state, **parts):
        planner = cls().prepare(world)
        planner.index = state["index"]
        return planner


class TakesTeacher(MeanPlanner):
    name = "takes_teacher"

    def learn_from_log(self, log, teacher):
        return self


class TakesNoLog(MeanPlanner):
    name = "takes_no_log"

    def learn_from_log(self, world):
        return self


class KeepsNothing(sf.slow.BasePlanner):
    name = "keeps_nothing"

    def plan(self, request):
        return np.zeros(len(request.entity_ids), np.int64)

    def learn_from_log(self, log):
        return self


def asked(agent):
    """A request of members after some weeks."""
    population = Population(agent.world, 40, 8, 8)
    return plan_request(population)


def test_both_levels_learn_and_are_saved_and_loaded(log, tmp_path):
    agent = SlowFastAgent(UtilityPlanner(window=2)).learn_from_log(log, seed=1)
    assert agent.world == log.world
    assert (agent.seed, agent.train_opportunities) == (1, 0)
    assert agent.train_cpu_seconds > 0
    alone = UtilityPlanner(window=2).learn_from_log(log, seed=1)
    request = asked(agent)
    assert_array_equal(agent.slow.plan(request), alone.plan(request))
    executor = PacedExecutor(BidPricePacer(), AffinityRanker()).learn_from_log(log, seed=1)
    assert agent.fast.versioned() == executor.versioned()
    agent.save(tmp_path / "agent.zip")
    again = SlowFastAgent.load(tmp_path / "agent.zip")
    assert_array_equal(again.slow.plan(request), agent.slow.plan(request))
    assert again.fast.versioned() == agent.fast.versioned()


def test_what_does_not_learn_stays_as_it_is(log):
    agent = SlowFastAgent(FixedPlanner(log.world, (3, 2)), PacedExecutor())
    agent.learn_from_log(log)
    assert agent.world == log.world
    assert agent.can_act


def test_a_single_policy_learns_from_a_log(log):
    agent = SinglePolicyAgent(PacedExecutor(ranker=AffinityRanker()))
    agent.learn_from_log(log)
    assert agent.fast.ranker.state() == AffinityRanker().learn_from_log(log).state()


def test_few_rows_are_enough_where_the_caller_says_so(log):
    agent = SlowFastAgent(UtilityPlanner(window=2))
    few = agent.learn_from_log(log, max_rows=100).slow.state()
    many = agent.learn_from_log(log).slow.state()
    assert not np.array_equal(few["weights"], many["weights"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SlowFastAgent(PPOPlanner()), "PPOPlanner cannot learn from a log: it has no"),
        (lambda: SlowFastAgent(RolloutPlanner()), "built-in planners that can: .*UtilityPlanner"),
        (lambda: SlowFastAgent(UtilityPlanner(), PPOExecutor()), "PPOExecutor cannot learn"),
        (ThresholdAgent, "ThresholdAgent cannot learn from a log: it tries thresholds"),
    ],
)
def test_an_agent_of_which_a_part_cannot_says_so_before_anything_learns(log, make, message):
    agent = make()
    with pytest.raises(ValueError, match=message) as raised:
        agent.learn_from_log(log)
    assert "\n" not in str(raised.value)
    assert agent.world is None


def test_a_class_of_ones_own_learns_from_a_log_like_the_built_in_ones(log):
    agent = SlowFastAgent(MeanPlanner(), PacedExecutor()).learn_from_log(log)
    assert MeanPlanner.learns_from_logs
    assert not MeanPlanner.learns
    assert agent.slow.index == MeanPlanner().learn_from_log(log).index > 0


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (TakesTeacher, "TakesTeacher.learn_from_log needs 'teacher', which the agent does not"),
        (TakesNoLog, r"TakesNoLog.learn_from_log takes no log; allowed is learn_from_log\(self"),
        (KeepsNothing, "KeepsNothing learns and has no state"),
    ],
)
def test_a_class_that_the_agent_could_not_teach_is_named_before_it_is_used(cls, message):
    with pytest.raises(ValueError, match=message):
        check_class(cls)
