import json

import numpy as np
import pytest

import slowfast_rl as sf
from slowfast_rl.ope import HeldPlans, evaluate
from slowfast_rl.ope.plans import outcome_columns, outcome_weights
from slowfast_rl.slow import FixedPlanner, RandomPlanner
from tests.experiments.studies import study_module

HORIZON = 3


@pytest.fixture(scope="module")
def world():
    return sf.load_world("pronounced")


@pytest.fixture(scope="module")
def simulate():
    return study_module("off_policy", "simulate")


@pytest.fixture(scope="module")
def population(world, simulate):
    return simulate.start(world, 800, seed=5)


@pytest.fixture(scope="module")
def log(population, simulate):
    return simulate.held_plans(population, (HORIZON,), seed=5)[HORIZON]


def with_noise(log, effect, seed=0):
    """The log with outcomes that a member's viewing and the plan's size decide."""
    rng = np.random.default_rng(seed)
    outcomes = np.zeros_like(log.outcomes)
    outcomes[:, 0] = effect + rng.normal(size=len(log.plans))
    return log._replace(outcomes=outcomes)


def test_the_weights_are_those_of_the_worlds_reward(world):
    given = dict(zip(outcome_columns(world), outcome_weights(world), strict=True))
    reward = world.reward
    assert given == {
        "viewing_days": reward.viewing_day,
        "opens": reward.causal_open,
        "churn": -reward.churn,
        "push_opt_outs": -reward.opt_out,
        "email_opt_outs": -reward.opt_out,
        "sends": -reward.message_cost,
    }


def test_the_logging_policy_has_no_lift_by_weights_and_by_the_model(world, log):
    uniform = log.feasible / log.feasible.sum(axis=1, keepdims=True)
    result = evaluate(log, uniform, world=world)
    for method in ("inverse propensity", "self-normalised", "direct method"):
        assert result.estimates[method].lift == pytest.approx((0, 0, 0), abs=1e-5)
    assert result.main.lift == pytest.approx((0, 0, 0), abs=1e-4)
    assert result.diagnostics.effective_size == pytest.approx(result.diagnostics.choices)


def test_a_linear_effect_is_found_by_the_direct_method(world, log):
    sends = world.plans[log.plans, 0] / world.plans[:, 0].max()
    target = FixedPlanner(world, (14, 0))
    result = evaluate(with_noise(log, 2 * sends), target, world=world)
    opted_in = log.feasible[:, world.plan_index((14, 0))]
    truth = 2 * opted_in.mean() - 2 * sends.mean()
    found = result.estimates["direct method"].lift
    assert found.mean == pytest.approx(truth, abs=0.3)
    assert found.low < truth < found.high
    assert found.high - found.low < 0.7 * (result.main.lift.high - result.main.lift.low)


def test_the_intervals_cover_the_truth_of_twins(world, simulate):
    covered = []
    for seed in range(3):
        population = simulate.start(world, 800, seed=seed)
        log = simulate.held_plans(population, (HORIZON,), seed)[HORIZON]
        for plan in ((0, 0), (3, 1), (14, 7)):
            planner = FixedPlanner(world, plan)
            truth = simulate.truth(population, planner, (HORIZON,))[HORIZON].mean()
            value = evaluate(log, planner, world=world).main.value
            covered.append(value.low <= truth <= value.high)
    assert sum(covered) >= 7  # of 9


def test_known_propensities_of_all_plans_give_what_a_uniform_draw_gives(world, log):
    all_plans = log.feasible / log.feasible.sum(axis=1, keepdims=True)
    planner = FixedPlanner(world, (3, 1))
    one, other = (evaluate(given, planner) for given in (log, log._replace(propensity=all_plans)))
    for method, found in one.estimates.items():
        assert other.estimates[method].lift == pytest.approx(found.lift, abs=1e-3)


def test_propensities_that_are_not_uniform_are_corrected(world, log):
    rng = np.random.default_rng(0)
    often = np.where(world.plans[:, 0] > 3, 4.0, 1.0) * log.feasible
    shares = often / often.sum(axis=1, keepdims=True)
    plans = (rng.random((len(shares), 1)) > shares.cumsum(axis=1)).sum(axis=1)
    effect = 1.0 * (world.plans[plans, 0] > 3)
    drawn = log._replace(plans=plans, propensity=shares[np.arange(len(plans)), plans])
    uniform = log.feasible / log.feasible.sum(axis=1, keepdims=True)
    result = evaluate(with_noise(drawn, effect), uniform, world=world)
    truth = (uniform @ (world.plans[:, 0] > 3)).mean() - effect.mean()
    assert truth < -0.1
    assert result.main.lift.low < truth < result.main.lift.high < 0


def test_an_infeasible_plan_is_what_would_be_executed(world, log):
    result = evaluate(log, FixedPlanner(world, (14, 7)))
    assert result.diagnostics.unsupported == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"propensity": "ones"}, r"all \d+ propensities are 1"),
        ({"propensity": "zeros"}, r"\d+ propensities of logged actions are impossible"),
    ],
)
def test_a_log_without_chance_is_refused(world, log, change, message):
    value = {"ones": np.ones, "zeros": np.zeros}[change["propensity"]](len(log.plans))
    with pytest.raises(ValueError, match=message):
        evaluate(log._replace(propensity=value), FixedPlanner(world, (3, 1)))


def test_a_policy_without_support_is_refused(world, log):
    always = np.zeros(log.feasible.shape)
    always[:, -1] = 1  # also where the member left a channel
    with pytest.raises(ValueError, match=r"% of the target's probability is on actions"):
        evaluate(log, always, world=world)


def test_what_cannot_be_asked_is_refused(world, log):
    with pytest.raises(ValueError, match=r"the policy has shape \(3,\)"):
        evaluate(log, np.ones(3), world=world)
    with pytest.raises(ValueError, match="the policy is 'mine'; allowed are a planner"):
        evaluate(log, "mine", world=world)
    planner = RandomPlanner()
    planner.privileged = True
    with pytest.raises(ValueError, match="is privileged; no log holds what it observes"):
        evaluate(log, planner, world=world)
    with pytest.raises(ValueError, match="have no world; give one as world="):
        evaluate(log, np.ones(3))
    planner = FixedPlanner(world, (3, 1))
    planner.belief_filter = sf.BeliefFilter(world)
    with pytest.raises(ValueError, match="needs beliefs, which this log does not have"):
        evaluate(log, planner)


def test_a_horizon_longer_than_the_hold_is_warned_of(world, log):
    held = np.full(len(log.plans), HORIZON)
    held[: len(held) // 4] = 1
    result = evaluate(log._replace(held=held), FixedPlanner(world, (3, 1)))
    (warning,) = [text for text in result.warnings if "longer than the plan was held" in text]
    assert "25 % of the windows, for 1 weeks at least" in warning


def test_few_members_are_refused(world, log):
    few = HeldPlans(*(part[:8] if np.ndim(part) else part for part in log))
    with pytest.raises(ValueError, match="the log has 8 members; allowed are 10 or more"):
        evaluate(few, FixedPlanner(world, (3, 1)))


def test_a_result_shows_its_numbers(world, log):
    result = evaluate(log, FixedPlanner(world, (3, 1)), name="mine")
    shown = repr(result)
    assert shown.startswith("<plans held for the horizon of mine, horizon 3")
    assert all(f"  {method}" in shown for method in result.estimates)
    assert "effective size" in shown
    frame = result.to_frame()
    assert list(frame.index) == list(result.estimates)
    assert frame.loc["doubly robust", "lift_low"] == result.main.lift.low
    assert result.markdown().startswith("| method | lift |")
    assert result.to_json()["estimates"][0]["lift"] == result.main.lift.mean


def three_arms(world, log, seed=0):
    """The log of an experiment with three plans, each drawn with probability 1/3."""
    rows = np.flatnonzero(log.feasible.all(axis=1))
    arms = np.array([world.plan_index(plan) for plan in ((0, 0), (1, 1), (5, 2))])
    some = {k: v[rows] for k, v in log._asdict().items() if isinstance(v, np.ndarray)}
    drawn = np.random.default_rng(seed).integers(0, 3, len(rows))
    return log._replace(**some)._replace(plans=arms[drawn], propensity=np.full(len(rows), 1 / 3))


def test_a_plan_that_an_experiment_never_drew_has_no_support(world, log):
    arms = three_arms(world, log)
    assert evaluate(arms, FixedPlanner(world, (5, 2))).diagnostics.unsupported == 0
    with pytest.raises(ValueError, match="100 % of the target's probability is on actions"):
        evaluate(arms, FixedPlanner(world, (3, 1)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"observations": lambda v: v[:-1]}, r"observations has \d+ rows; allowed is \d+"),
        ({"outcomes": lambda v: v[:, :3]}, r"outcomes has shape \(\d+, 3\); allowed is"),
        ({"outcomes": lambda v: v * np.nan}, "rewards are not finite"),
    ],
)
def test_windows_that_do_not_fit_are_refused(world, log, change, message):
    ((name, changed),) = change.items()
    with pytest.raises(ValueError, match=message):
        evaluate(log._replace(**{name: changed(getattr(log, name))}), FixedPlanner(world, (3, 1)))


@pytest.mark.parametrize("setting", [{"folds": 1}, {"ridge": -1.0}, {"clip": 0.0}])
def test_settings_that_are_not_allowed_are_refused(world, log, setting):
    ((name, value),) = setting.items()
    with pytest.raises(ValueError, match=f"{name} is {value}; allowed is"):
        evaluate(log, FixedPlanner(world, (3, 1)), **setting)


def test_numbers_that_there_are_not_are_null_in_json(world, log):
    arms = three_arms(world, log)
    never = arms._replace(propensity=1 / arms.feasible.sum(axis=1))  # as if by chance
    result = evaluate(never, FixedPlanner(world, (3, 1)))
    tree = json.loads(json.dumps(result.to_json(), allow_nan=False))
    lifts = {row["method"]: row["lift"] for row in tree["estimates"]}
    assert lifts["self-normalised"] is None
    assert lifts["doubly robust"] == result.main.lift.mean
