import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from slowfast_rl.slow.effects import Effects, fit_effects, plan_effects, plan_features
from tests.members.worlds import world

FEATURES = np.array([[0, 0], [1, 0], [0, 1], [1, 1], [0.5, 1]], np.float32)  # [O, G]
ROWS = 20_000


def made_up_logs(seed=0, noise=1.0):
    """Plans drawn by lot, an outcome that signals drive hard and plans a little."""
    rng = np.random.default_rng(seed)
    terms = rng.normal(size=(ROWS, 3)).astype(np.float32)
    feasible = np.ones((ROWS, 5), bool)
    left = terms[:, 0] > 0.5  # who watches more has left the second channel
    feasible[np.ix_(left, [2, 3, 4])] = False
    plans = np.where(left, rng.integers(0, 2, ROWS), rng.integers(0, 5, ROWS))
    truth = np.zeros((2, 4))  # [G, 1 + T]
    truth[0, 0], truth[0, 1], truth[1, 2] = 0.3, -0.2, 0.5
    effect = (FEATURES[plans] * (np.column_stack([np.ones(ROWS), terms]) @ truth.T)).sum(axis=1)
    drive = terms[:, 0] ** 2 + 3 * terms[:, 0]
    outcome = effect + drive + noise * rng.normal(size=ROWS)
    outcomes = np.column_stack([outcome, -2 * effect]).astype(np.float32)
    return terms, feasible, plans, outcomes, truth


def fit(terms, feasible, plans, outcomes, ridge=1e-6):
    return fit_effects(terms, FEATURES, feasible, plans, outcomes, np.arange(ROWS), ridge)


def test_effects_are_found_though_signals_drive_both_outcome_and_feasibility():
    terms, feasible, plans, outcomes, truth = made_up_logs()
    effects = fit(terms, feasible, plans, outcomes)
    assert effects.weights.shape == (2, 4, 2)
    # The terms' scale is 1 and their centre 0, but for the sample's noise.
    assert_allclose(effects.weights[:, :, 0], truth, atol=0.2)
    assert_allclose(effects.weights[:, :, 1], -2 * truth, atol=0.05)


def test_a_plain_difference_of_plans_would_have_been_wrong():
    _, _, plans, outcomes, truth = made_up_logs()
    naive = outcomes[plans == 2, 0].mean() - outcomes[plans == 0, 0].mean()
    assert abs(naive - truth[1, 0]) > 1


def test_estimates_scatter_around_the_truth():
    estimates = []
    for seed in range(8):
        terms, feasible, plans, outcomes, truth = made_up_logs(seed, noise=3.0)
        estimates.append(fit(terms, feasible, plans, outcomes).weights[:, :, 0])
    scatter = np.std(estimates, axis=0, ddof=1) / 8**0.5
    assert (np.abs(np.mean(estimates, axis=0) - truth) < 5 * scatter + 0.01).all()


def test_the_prediction_of_outcomes_lowers_the_noise():
    seeing, blind = [], []
    for seed in range(6):
        terms, *logs, _ = made_up_logs(seed)
        seeing.append(fit(terms, *logs).weights[0, 0, 0])
        blind.append(fit(0 * terms, *logs).weights[0, 0, 0])
    assert np.std(blind) > 1.5 * np.std(seeing)


def test_a_strong_prior_leaves_no_effect():
    terms, feasible, plans, outcomes, _ = made_up_logs()
    assert np.abs(fit(terms, feasible, plans, outcomes, ridge=1e9).weights).max() < 1e-4


def test_effects_do_not_depend_on_the_unit_or_zero_of_a_signal():
    terms, feasible, plans, outcomes, _ = made_up_logs()
    one = fit(terms, feasible, plans, outcomes)
    other = fit((terms * 100 + 7).astype(np.float32), feasible, plans, outcomes)
    assert_allclose(one.weights, other.weights, atol=1e-2)


def test_plan_effects_are_weighted_sums_of_what_was_learned():
    effects = Effects(np.float32([1, 0]), np.float32([2, 1]), np.zeros((2, 3, 2), np.float32))
    effects.weights[0, 0, 0] = 1  # feature 0 on outcome 0, everyone
    effects.weights[1, 1, 0] = 2  # feature 1 on outcome 0, per deviation of term 0
    effects.weights[0, 2, 1] = 10  # feature 0 on outcome 1, per deviation of term 1
    terms = np.float32([[1, 0], [5, 0], [1, 3], [101, 0]])
    effect = plan_effects(effects, terms, FEATURES, np.array([1.0, -1.0]))
    assert_allclose(effect[0], [0, 1, 0, 1, 0.5])
    assert_allclose(effect[1], [0, 1, 4, 5, 4.5])
    assert_allclose(effect[2], [0, 1 - 30, 0, 1 - 30, 0.5 - 15])
    assert_allclose(effect[3], [0, 1, 10, 11, 10.5])  # clipped at 5 deviations


@pytest.mark.parametrize("name", ["pronounced", "in_app"])
def test_features_of_a_plan_tell_it_from_all_others_and_never_is_all_zero(name):
    w = world(name)
    features = plan_features(w)
    assert len(np.unique(features, axis=0)) == len(w.plans)
    assert_array_equal((features == 0).all(axis=1), (w.plans == 0).all(axis=1))
    assert features.max() == 1


def test_members_of_one_half_only_are_refused():
    terms, feasible, plans, outcomes, _ = made_up_logs()
    even = 2 * np.arange(ROWS)
    with pytest.raises(ValueError, match="both are needed"):
        fit_effects(terms, FEATURES, feasible, plans, outcomes, even, 0.1)


def test_logs_without_a_choice_teach_that_nothing_has_an_effect():
    feasible = np.zeros((ROWS, 5), bool)
    feasible[:, 0] = True  # everyone left everything
    terms, _, _, outcomes, _ = made_up_logs()
    assert not fit(terms, feasible, np.zeros(ROWS, np.int64), outcomes).weights.any()
