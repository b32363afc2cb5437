"""Factorial tests: known answers, coverage, and that dividing members changes nobody's life."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from slowfast_rl.evaluation.ab import (
    EFFECTS,
    Arms,
    assign_arms,
    covariates,
    factorial_effects,
    factorial_test,
    observed,
    true_effects,
)
from slowfast_rl.evaluation.protocol import EvaluationProtocol
from slowfast_rl.evaluation.statistics import mean_interval
from slowfast_rl.evaluation.twins import Twins
from slowfast_rl.fast import BidPricePacer, PacedExecutor
from slowfast_rl.policies.plan_exchange import PlanExchange, plans_of_planner
from slowfast_rl.slow import FixedPlanner, RandomPlanner
from tests.members.worlds import world


def test_members_are_divided_evenly_independently_and_always_alike() -> None:
    members = np.arange(40_000)
    arms = assign_arms(members, salt=3)
    counts = np.bincount(2 * arms.slow + arms.fast, minlength=4)
    assert_allclose(counts, 10_000, atol=4 * 87)
    assert_array_equal(assign_arms(members[::-7], 3).slow, arms.slow[::-7])
    other = assign_arms(members, salt=4)
    assert_allclose((other.slow == arms.slow).mean(), 0.5, atol=0.02)
    with pytest.raises(ValueError, match="salt is -1"):
        assign_arms(members, -1)


def test_effects_of_outcomes_without_noise_are_exact() -> None:
    arms = Arms(np.array([0, 0, 1, 1] * 3), np.array([0, 1, 0, 1] * 3))
    outcomes = 10 + 3.0 * arms.slow + 1.0 * arms.fast + 4.0 * arms.slow * arms.fast
    effects = factorial_effects(outcomes, arms)
    expected = {"slow": 5.0, "fast": 3.0, "interaction": 4.0}
    for name in EFFECTS:
        assert_allclose(effects[name], [expected[name]] * 3, atol=1e-9)
    potential = np.array([[[10.0, 10], [11, 11]], [[13, 13], [18, 18]]])
    assert true_effects(potential) == expected


def test_with_one_level_that_does_nothing_the_other_is_a_difference_of_means() -> None:
    draws = np.random.default_rng(0)
    arms = Arms(np.repeat([0, 1], 200), np.tile([0, 1], 200))
    outcomes = draws.normal(size=400) + 2 * arms.slow
    effect = factorial_effects(outcomes, arms)["slow"]
    one, other = (mean_interval(outcomes[arms.slow == s]) for s in (1, 0))
    assert effect.mean == pytest.approx(one.mean - other.mean)
    half = ((one.high - one.mean) ** 2 + (other.high - other.mean) ** 2) ** 0.5
    assert effect.high - effect.mean == pytest.approx(half, rel=0.02)


@pytest.mark.parametrize("adjusted", [False, True])
def test_intervals_cover_the_truth_as_often_as_they_say(adjusted: bool) -> None:
    draws, trials, pool = np.random.default_rng(1), 600, 20_000
    x = draws.normal(size=(pool, 2))
    base = 3 * x[:, 0] + draws.standard_exponential(pool)  # skewed, as returns are
    potential = np.stack(
        [
            np.stack([base, base + 0.4 + x[:, 1]]),
            np.stack([base + 0.3 * x[:, 0], base + 0.9 + draws.normal(size=pool)]),
        ]
    )
    truth, covered, widths = true_effects(potential), dict.fromkeys(EFFECTS, 0), []
    for trial in range(trials):
        rows = draws.choice(pool, 300, replace=False)
        arms = assign_arms(rows, trial)
        effects = factorial_effects(
            observed(potential[:, :, rows], arms), arms, x[rows] if adjusted else None
        )
        widths.append(effects["slow"].high - effects["slow"].low)
        for name in EFFECTS:
            covered[name] += effects[name].low <= truth[name] <= effects[name].high
    for name in EFFECTS:
        assert abs(covered[name] / trials - 0.95) < 4 * (0.95 * 0.05 / trials) ** 0.5, name
    assert (np.mean(widths) < 0.8) == adjusted  # unadjusted: about 1.5


def test_too_small_a_test_is_refused() -> None:
    arms = Arms(np.array([0, 0, 1, 1, 1]), np.array([0, 1, 0, 1, 1]))
    with pytest.raises(ValueError, match=r"arm pairs have \[1, 1, 1, 2\] members"):
        factorial_effects(np.zeros(5), arms)


def test_a_signal_that_does_not_vary_adjusts_nothing() -> None:
    arms = assign_arms(np.arange(100), 0)
    outcomes = np.random.default_rng(0).normal(size=100)
    plain = factorial_effects(outcomes, arms)
    for name, effect in factorial_effects(outcomes, arms, np.ones((100, 3))).items():
        assert_allclose(effect, plain[name])


def test_members_divided_over_arms_live_as_their_twins_that_live_in_every_arm() -> None:
    w = world("eventful")
    twins = Twins(w, EvaluationProtocol(60, 5, 2, streams=(0,)))
    planners = [FixedPlanner(w, (3, 1)), RandomPlanner(4)]
    law = [[-1.0, 0.0, 0.5, 2.0]] * 2
    executors = [None, PacedExecutor(BidPricePacer.with_quantiles(law))]
    test = factorial_test(twins, planners, executors, salt=1, progress=False)
    assert test.potential.shape == (2, 2, 60)
    assert test.covariates.shape == covariates(twins.starts[0]).shape
    seen = observed(test.potential, test.arms)
    for s, planner in enumerate(planners):
        for f, executor in enumerate(executors):
            mine = np.flatnonzero((test.arms.slow == s) & (test.arms.fast == f))
            population = twins.starts[0].take(mine)
            plan_exchange, returns = PlanExchange(w, executor=executor), np.zeros(len(mine))
            for week in range(5):
                plan_exchange.issue(population, plans_of_planner(population, planner))
                reward = plan_exchange.run_week(population)[0].reward
                returns += w.reward.weekly_discount**week * reward
            assert_allclose(returns, seen[mine])
    results = test.to_json()
    assert sum(results["members_per_arm"].values()) == 60
    for name, row in results["effects"].items():
        assert row["truth"] == true_effects(test.potential)[name]
        assert row["ci95"][0] < row["estimate"] < row["ci95"][1]


def test_a_test_needs_two_arms_at_each_level() -> None:
    twins = Twins(world("eventful"), EvaluationProtocol(8, 1, 0, streams=(0,)))
    with pytest.raises(ValueError, match="1 planners and 2 executors; allowed: 2 each"):
        factorial_test(twins, [RandomPlanner(1)], [None, None])
