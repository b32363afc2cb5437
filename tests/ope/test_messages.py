import numpy as np
import pytest

import slowfast_rl as sf
from slowfast_rl.fast import CoinPacer, ExploringExecutor, PacedExecutor, QualityRanker
from slowfast_rl.ope import evaluate
from slowfast_rl.ope.message_terms import message_terms
from slowfast_rl.ope.messages import evaluate_rows, reduce_messages
from slowfast_rl.policies.columns import columns
from slowfast_rl.slow import FixedPlanner
from tests.experiments.studies import study_module


@pytest.fixture(scope="module")
def world():
    return sf.load_world("pronounced")


@pytest.fixture(scope="module")
def simulated(world):
    """A log of 200 members in a week, and whether each action would have led to a view."""
    simulate = study_module("off_policy", "simulate")
    return simulate.messages(simulate.start(world, 200, seed=5), 1, seed=5)


@pytest.fixture(scope="module")
def log(simulated):
    return simulated[0]


def best_quality(log):
    """Probabilities that send the best candidate as often as the log."""
    column = columns(sf.load_world("pronounced"))
    found = [log.observations[:, column[f"candidate_{j}_quality"]] for j in (1, 2, 3, 4)]
    target = np.zeros_like(log.probabilities)
    target[:, 0] = log.probabilities[:, 0]
    target[np.arange(len(target)), 1 + np.argmax(found, axis=0)] = 1 - target[:, 0]
    return target


def test_the_log_has_the_outcome_of_the_action_that_was_taken(log, simulated):
    taken = simulated[1][np.arange(len(log.actions)), log.actions]
    assert (taken == log.rewards).all()


def test_terms_are_those_of_the_opportunity(world, log):
    terms, features = message_terms(world, log.observations)
    column = columns(world)
    assert np.isfinite(terms).all()
    assert np.isfinite(features).all()
    assert features.shape[1:] == (world.num_candidates, 2 + 6)
    for c, channel in enumerate(world.channels):
        here = log.observations[:, [column[f"slot_is_{channel}"]]]
        assert (features[:, :, c] == here).all()
    assert (features[:, 2, 2] == log.observations[:, column["candidate_3_quality"]]).all()


def test_an_executor_has_the_probabilities_that_it_is_evaluated_with(world, log):
    coin = PacedExecutor(CoinPacer(), QualityRanker())
    result = evaluate(log, coin, world=world)
    same = evaluate(log, coin.action_probabilities(world, log.observations, log.plan), world=world)
    assert result.estimates == same.estimates
    assert result.policy == "paced"


def test_the_logging_probabilities_have_no_lift(world, log):
    result = evaluate(log, log.probabilities, world=world)
    for found in result.estimates.values():
        assert found.lift == pytest.approx((0, 0, 0), abs=1e-6)


def test_an_effect_of_quality_is_found(world, log):
    rng = np.random.default_rng(0)
    quality = [log.observations[:, columns(world)[f"candidate_{j}_quality"]] for j in (1, 2, 3, 4)]
    effect = np.concatenate([np.zeros((1, len(log.actions))), np.array(quality)]).T  # [B, 1 + K]
    rewards = effect[np.arange(len(effect)), log.actions] + rng.normal(size=len(effect))
    target = best_quality(log)
    truth = ((target - log.probabilities) * effect).sum(axis=1).mean()
    result = evaluate(log._replace(rewards=rewards), target, world=world)
    for method in ("doubly robust", "direct method", "self-normalised"):
        found = result.estimates[method].lift
        assert 0 < found.low < truth < found.high
    widths = {name: e.lift.high - e.lift.low for name, e in result.estimates.items()}
    assert widths["direct method"] < widths["doubly robust"] < widths["inverse propensity"]


def test_a_view_that_came_before_the_decision_makes_no_noise(world, log):
    assert log.rewards[log.known].all()
    assert 0.02 < log.known.mean() < log.rewards.mean()
    before = evaluate(log._replace(known=None), best_quality(log), world=world).estimates
    after = evaluate(log, best_quality(log), world=world).estimates
    assert width(after["doubly robust"]) < 0.95 * width(before["doubly robust"])
    assert after["inverse propensity"] == before["inverse propensity"]


def test_what_is_known_before_all_decisions_has_no_lift(world, log):
    rows = reduce_messages(world, log, best_quality(log))
    some = rows._replace(rewards=np.where(rows.known, rows.rewards, 0.0))
    lift = evaluate_rows(some, "best quality").estimates["doubly robust"].lift
    assert lift == pytest.approx((0, 0, 0), abs=1e-9)


def width(estimate):
    return estimate.lift.high - estimate.lift.low


def test_a_deterministic_log_is_refused(world, log):
    target = PacedExecutor(CoinPacer(), QualityRanker())
    certain = np.zeros_like(log.probabilities)
    certain[np.arange(len(certain)), log.actions] = 1
    with pytest.raises(ValueError, match="propensities are 1"):
        evaluate(log._replace(probabilities=certain), log.probabilities, world=world)
    ranked = target.action_probabilities(world, log.observations, log.plan)
    some = ranked[np.arange(len(ranked)), log.actions] > 0
    few = type(log)(*(part[some] for part in log[:5]), None)._replace(probabilities=ranked[some])
    with pytest.raises(ValueError, match="% of the target's probability is on actions that"):
        evaluate(few, log.probabilities[some], world=world)


def test_what_is_no_executor_is_refused(world, log):
    with pytest.raises(ValueError, match="allowed are an executor, an agent with one"):
        evaluate(log, FixedPlanner(world, (3, 1)), world=world)
    with pytest.raises(ValueError, match=r"the policy has shape \(2,\)"):
        evaluate(log, np.ones(2), world=world)
    silent = PacedExecutor()
    silent.action_probabilities = lambda world, obs, plan: None
    with pytest.raises(ValueError, match="paced does not know the probabilities of its actions"):
        evaluate(log, silent, world=world)


def test_an_agent_is_evaluated_with_its_executor(world, log):
    agent = sf.SlowFastAgent(FixedPlanner(world, (3, 1)), ExploringExecutor(explore=0.5))
    result = evaluate(log, agent, world=world)
    assert result.estimates == evaluate(log, agent.fast, world=world).estimates


def test_rewards_that_are_all_known_before_the_decision_are_refused(world, log):
    known = np.ones(len(log.rewards), bool)
    with pytest.raises(ValueError, match="the log has 0 members; allowed are 10 or more"):
        evaluate(log._replace(known=known), log.probabilities, world=world)
