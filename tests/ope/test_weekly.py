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
    assert "most for 4 push + 2 email" in warning
    (arm,) = [arm for arm in result.backtest if arm["plan"] == "4 push + 2 email"]
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


def test_the_interval_is_as_wide_as_the_estimates_of_resampled_members_spread(world, simulated):
    weeks = 4  # of which most regressions use three
    some = {n: v[:weeks] for n, v in simulated._asdict().items() if np.ndim(v) > 1}
    log, planner = simulated._replace(**some), FixedPlanner(world, (3, 1))
    rng, lifts, members = np.random.default_rng(0), [], len(log.members)
    for _ in range(60):
        rows = rng.integers(0, members, members)
        drawn = {n: v[:, rows] for n, v in log._asdict().items() if np.ndim(v) > 1}
        lifts.append(evaluate(log._replace(**drawn), planner, horizon=weeks).main.lift.mean)
    found = evaluate(log, planner, horizon=weeks).main.lift
    assert 0.85 < (found.high - found.low) / 2 / 1.96 / np.std(lifts) < 1.4


def test_a_log_without_chance_is_refused(world, log):
    given = log._replace(propensity=np.ones_like(log.propensity))
    with pytest.raises(ValueError, match="propensities are 1; allowed is a log in which chance"):
        evaluate(given, FixedPlanner(world, (3, 1)))


def test_a_deterministic_log_with_all_probabilities_is_refused(world, log):
    certain = (np.arange(len(world.plans)) == log.plans[..., None]).astype(float)
    with pytest.raises(ValueError, match="propensities are 1; allowed is a log in which chance"):
        evaluate(log._replace(propensity=certain), FixedPlanner(world, (3, 1)))


@pytest.mark.parametrize("factor", [0, 200, np.nan])
def test_impossible_propensities_are_refused(world, log, factor):
    with pytest.raises(ValueError, match="propensities of logged actions are impossible"):
        evaluate(log._replace(propensity=log.propensity * factor), FixedPlanner(world, (3, 1)))


def test_a_plan_that_was_never_drawn_has_no_support(world, log):
    few = np.where(log.plans % 2, log.plans - 1, log.plans)
    given = log._replace(plans=few, propensity=np.minimum(2 * log.propensity, 1))
    with pytest.raises(ValueError, match="% of the target's probability is on actions"):
        evaluate(given, FixedPlanner(world, world.plans[7]), horizon=2)


def test_the_weights_of_single_weeks_are_diagnosed(world, log):
    found = evaluate(log, FixedPlanner(world, (3, 1)), horizon=2).diagnostics
    taken = log.alive & (log.plans == world.plan_index((3, 1)))
    assert found.rows == log.alive.sum()
    assert taken.sum() / 2 < found.effective_size < 3 * taken.sum()
    assert found.mean_weight.low < 1 < found.mean_weight.high


def test_probabilities_of_plans_are_evaluated(world, log):
    uniform = log.feasible / log.feasible.sum(axis=-1, keepdims=True)
    result = evaluate(log, uniform, world=world, horizon=2)
    assert result.main.lift == pytest.approx((0, 0, 0), abs=1e-4)
    with pytest.raises(ValueError, match=r"the policy has shape \(3,\); allowed is \(6, "):
        evaluate(log, np.ones(3), world=world)


def test_a_planner_with_beliefs_gets_those_of_the_week(world, log):
    class Believer(FixedPlanner):
        needs_beliefs = True

        def plan(self, request):
            assert (request.beliefs[:, 0] == request.weeks).all()
            return super().plan(request)

    planner = Believer(world, (3, 1))
    planner.belief_filter = sf.BeliefFilter(world)
    beliefs = np.zeros((*log.plans.shape, len(planner.belief_filter.features)), np.float32)
    beliefs[:, :, 0] = log.first_week + np.arange(WEEKS)[:, None]
    result = evaluate(log._replace(beliefs=beliefs), planner, horizon=2)
    assert result.main == evaluate(log, FixedPlanner(world, (3, 1)), horizon=2).main
    with pytest.raises(ValueError, match="needs beliefs, which this log does not have"):
        evaluate(log, planner, horizon=2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rewards": lambda v: v[:, :-1]}, "rewards has shape"),
        ({"rewards": lambda v: v * np.nan}, "rewards are not finite"),
        ({"alive": np.zeros_like}, "no member is alive in the first week"),
    ],
)
def test_weeks_that_do_not_fit_are_refused(world, log, change, message):
    ((name, changed),) = change.items()
    with pytest.raises(ValueError, match=message):
        evaluate(log._replace(**{name: changed(getattr(log, name))}), FixedPlanner(world, (3, 1)))


@pytest.mark.parametrize("setting", [{"horizon": 0}, {"ridge": -1.0}])
def test_settings_that_are_not_allowed_are_refused(world, log, setting):
    ((name, value),) = setting.items()
    with pytest.raises(ValueError, match=f"{name} is {value}; allowed is"):
        evaluate(log, FixedPlanner(world, (3, 1)), **setting)
