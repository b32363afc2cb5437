import numpy as np
import pytest

import slowfast_rl as sf
from slowfast_rl.ope import WeeklyPlans, evaluate
from slowfast_rl.slow import FixedPlanner
from tests.experiments.studies import study_module

WEEKS = 6


@pytest.fixture(scope="module")
def world():
    return sf.load_world("pronounced")


@pytest.fixture(scope="module")
def simulated(world):
    simulate = study_module("off_policy", "simulate")
    return simulate.weekly_plans(simulate.start(world, 600, seed=5), WEEKS, seed=5)


@pytest.fixture(scope="module")
def log(simulated, world):
    """Rewards of one viewing day and another one for plans with many push messages."""
    many = world.plans[simulated.plans, 0] / world.plans[:, 0].max()
    noise = np.random.default_rng(0).normal(size=many.shape)
    return simulated._replace(rewards=(1 + many + 0.1 * noise) * simulated.alive)


def discounts(world, horizon):
    return (world.reward.weekly_discount ** np.arange(horizon)).sum()


@pytest.mark.parametrize("horizon", [1, 3])
def test_an_additive_effect_of_a_plan_is_added_up_over_the_weeks(world, log, horizon):
    always = evaluate(log, FixedPlanner(world, (14, 0)), horizon=horizon).main.lift
    never = evaluate(log, FixedPlanner(world, (0, 0)), horizon=horizon).main.lift
    opted_in = log.feasible[0][:, world.plan_index((14, 0))].mean()  # all are alive
    assert always.mean - never.mean == pytest.approx(opted_in * discounts(world, horizon), rel=0.1)
    assert never.high < 0 < always.low


def test_the_value_of_the_log_is_that_of_its_returns(world, log):
    result = evaluate(log, FixedPlanner(world, (3, 1)), horizon=2)
    observed = (log.rewards[0] + world.reward.weekly_discount * log.rewards[1]).mean()
    assert result.logged == pytest.approx(observed, rel=0.03)


def test_the_backtest_has_a_row_for_each_plan(world, log):
    result = evaluate(log, FixedPlanner(world, (3, 1)), horizon=2)
    assert len(result.backtest) == len({arm["plan"] for arm in result.backtest}) > 30
    assert sum(arm["windows"] for arm in result.backtest) <= log.alive[:-1].sum()
    assert all(abs(arm["observed"] - arm["predicted"]) < 0.25 for arm in result.backtest)


def test_a_wrong_model_shows_in_the_backtest_of_its_plan(world, log):
    odd = log.plans == world.plan_index((4, 2))
    result = evaluate(log._replace(rewards=log.rewards + 20 * odd), FixedPlanner(world, (3, 1)),
                      horizon=1)  # fmt: skip
    (warning,) = [text for text in result.warnings if "standard errors" in text]
    assert "most for 4 + 2" in warning
    (arm,) = [arm for arm in result.backtest if arm["plan"] == "4 + 2"]
    assert arm["observed"] > arm["predicted"] + 15


def test_long_horizons_are_warned_of(world, log):
    warnings = evaluate(log, FixedPlanner(world, (3, 1)), horizon=9).warnings
    assert any(
        text.startswith("the horizon of 9 weeks is longer than the log") for text in warnings
    )
    assert any("beyond 8 fitted Q evaluation does not rank" in text for text in warnings)


def test_the_interval_is_that_of_members(world, log):
    twice = WeeklyPlans(*(
        np.concatenate([part, part], axis=min(part.ndim - 1, 1)) if np.ndim(part) else part
        for part in log
    ))  # fmt: skip
    once = evaluate(log, FixedPlanner(world, (3, 1)), horizon=2).main.lift
    both = evaluate(twice, FixedPlanner(world, (3, 1)), horizon=2).main.lift
    assert both.mean == pytest.approx(once.mean, abs=0.01)
    assert (both.high - both.low) * 2**0.5 == pytest.approx(once.high - once.low, rel=0.1)


def test_a_log_without_chance_is_refused(world, log):
    given = log._replace(propensity=np.ones_like(log.propensity))
    with pytest.raises(ValueError, match="propensities are 1; allowed is a log in which chance"):
        evaluate(given, FixedPlanner(world, (3, 1)))
