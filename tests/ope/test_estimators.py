import numpy as np
import pytest

from slowfast_rl.evaluation.statistics import mean_interval
from slowfast_rl.ope.estimators import (
    Prediction,
    clustered_interval,
    estimate,
    importance_weights,
    predict,
)
from tests.ope.logs import random_choices, true_value

METHODS = (
    "doubly robust", "direct method", "clipped doubly robust", "inverse propensity",
    "self-normalised",
)  # fmt: skip


def estimates_of(log, clusters=None, propensities=None, **keywords):
    given = log.propensities if propensities is None else propensities
    weights, _ = importance_weights(log.logged, given, log.target)
    prediction = predict(log.logged, log.target, log.values)
    return estimate(weights, log.rewards, clusters, prediction, **keywords)


def test_two_actions_by_hand():
    # Action 0 was logged with probability 1/4 and 3/4; the target always takes action 1.
    logged, propensities = np.array([1, 1, 0, 0]), np.array([0.25, 0.75, 0.25, 0.75])
    target = np.tile([0.0, 1.0], (4, 1))
    rewards = np.array([1.0, 3.0, 5.0, 7.0])
    values = np.array([[0, 2], [0, 2], [0, 4], [0, 4]])
    weights, of_logged = importance_weights(logged, propensities, target)
    assert weights.tolist() == [4, 4 / 3, 0, 0]
    assert of_logged.tolist() == propensities.tolist()
    found = estimate(weights, rewards, None, predict(logged, target, values))
    # IPW: (4 · 1 + 4/3 · 3) / 4 = 2. SNIPW: 8 / (16/3) = 1.5. DM: (2 + 2 + 4 + 4) / 4 = 3.
    # DR: 3 + (4 (1 - 2) + 4/3 (3 - 2)) / 4 = 3 - 2/3. Clipped at 2: 3 + (2 (-1) + 4/3) / 4.
    assert found["inverse propensity"].value.mean == pytest.approx(2)
    assert found["self-normalised"].value.mean == pytest.approx(1.5)
    assert found["direct method"].value.mean == pytest.approx(3)
    assert found["doubly robust"].value.mean == pytest.approx(3 - 2 / 3)
    clipped = estimate(weights, rewards, None, predict(logged, target, values), clip=2)
    assert clipped["clipped doubly robust"].value.mean == pytest.approx(3 - 1 / 6)
    for method in METHODS:
        assert found[method].lift.mean == pytest.approx(found[method].value.mean - 4)


def test_a_policy_evaluated_on_its_own_log_has_no_lift_and_no_uncertainty_about_it():
    log = random_choices(0)
    found = estimates_of(log._replace(target=log.propensities))
    for method in ("inverse propensity", "self-normalised"):
        assert found[method].lift == (0, 0, 0)
    uniform = np.full(log.target.shape, 0.25)
    found = estimates_of(log._replace(target=uniform, propensities=uniform))
    assert found["inverse propensity"].lift == found["self-normalised"].lift == (0, 0, 0)
    prediction = predict(log.logged, uniform, log.values, uniform)
    found = estimate(np.ones(500), log.rewards, None, prediction)
    assert all(found[method].lift == (0, 0, 0) for method in METHODS)


def mean_like(values):
    return clustered_interval(values.mean(), values - values.mean(), np.arange(len(values)))


@pytest.mark.parametrize("method", ["inverse propensity", "doubly robust"])
def test_weighting_is_unbiased_and_its_interval_covers_the_truth(method):
    errors, widths, covered = [], [], []
    for seed in range(400):
        log = random_choices(seed, rows=300)
        found, truth = estimates_of(log)[method].value, true_value(log, seed)
        errors.append(found.mean - truth)
        widths.append((found.high - found.low) / 2)
        covered.append(found.low <= truth <= found.high)
    error = np.std(errors) / 400**0.5
    assert abs(np.mean(errors)) < 3 * error
    assert 0.92 < np.mean(covered) <= 1


def test_a_lift_has_a_narrower_interval_than_a_value():
    log = random_choices(2)
    near = 0.8 * log.propensities + 0.2 * log.target
    level = 3 * np.random.default_rng(0).normal(size=500)  # of the row, whatever the action
    changed = {"rewards": log.rewards + level, "values": log.values + level[:, None]}
    found = estimates_of(log._replace(target=near, **changed))
    for method in ("doubly robust", "self-normalised"):
        lift, value = found[method]
        assert lift.high - lift.low < 0.5 * (value.high - value.low)


def test_clusters_of_one_row_change_nothing():
    log = random_choices(3)
    assert estimates_of(log) == estimates_of(log, np.arange(500) * 7 + 3)


def test_an_unclustered_interval_is_that_of_a_mean():
    values = np.random.default_rng(0).normal(size=5000)
    found, usual = mean_like(values), mean_interval(values)
    assert found.mean == usual.mean
    assert found.low == pytest.approx(usual.low, rel=1e-2)
    assert found.high - found.low == pytest.approx(usual.high - usual.low, rel=1e-3)


def test_duplicated_rows_do_not_narrow_a_clustered_interval():
    log = random_choices(4)
    once = estimates_of(log)
    doubled = type(log)(*(np.concatenate([a, a]) for a in log))
    rows = np.concatenate([np.arange(500), np.arange(500)])
    clustered, blind = estimates_of(doubled, rows), estimates_of(doubled)
    for method in METHODS:
        assert clustered[method].lift == pytest.approx(once[method].lift)
        wide = clustered[method].lift.high - clustered[method].lift.low
        narrow = blind[method].lift.high - blind[method].lift.low
        assert narrow == pytest.approx(wide / 2**0.5, rel=0.02)


def test_few_heavy_clusters_widen_the_interval():
    even, few = np.ones(1000), np.zeros(1000)
    even[::2] = -1
    few[:10] = 10 * even[:10]
    groups = np.arange(1000)
    usual, wide = clustered_interval(0, even, groups), clustered_interval(0, few, groups)
    # Both have the same standard error; t with 2 · 10 degrees of freedom against 2000.
    assert usual.high == pytest.approx(1.9613 / 1000**0.5, rel=1e-3)
    assert wide.high == pytest.approx(2.086 / 1000**0.5, rel=2e-3)


def test_one_cluster_has_no_interval():
    found = clustered_interval(1.0, np.zeros(3), np.zeros(3, np.int64))
    assert found == (1.0, -np.inf, np.inf)


def test_a_target_that_chose_no_logged_action_has_no_self_normalised_estimate():
    found = estimate(np.zeros(4), np.ones(4))
    assert np.isnan(found["self-normalised"].lift.mean)
    assert found["inverse propensity"].value.mean == 0


def test_the_uncertainty_of_a_fit_widens_the_interval():
    log = random_choices(5)
    weights, _ = importance_weights(log.logged, log.propensities, log.target)
    known = predict(log.logged, log.target, log.values)
    rng = np.random.default_rng(0)
    fitted = Prediction(known.target, known.logged, None, lambda w, level: rng.normal(size=500))
    narrow = estimate(weights, log.rewards, None, known)["direct method"].value
    wide = estimate(weights, log.rewards, None, fitted)["direct method"].value
    assert wide.mean == narrow.mean
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"logged": np.array([0, 2])},
            "actions span 0 to 2; allowed are whole numbers from 0 to 1",
        ),
        ({"logged": np.array([0.0, 1.0])}, "allowed are whole numbers"),
        ({"logged": np.array([0])}, r"logged has shape \(1,\)"),
        ({"propensities": np.array([0.5, 0])}, "1 propensities .* the first 0 in row 1"),
        (
            {"propensities": np.array([np.nan, 1])},
            "the first nan in row 0; allowed is 1e-50 to 1",
        ),
        ({"propensities": np.array([0.5, 1e-300])}, "the first 1e-300 in row 1"),
        ({"propensities": np.array([0.5, 1.5])}, "the first 1.5 in row 1"),
        (
            {"propensities": np.array([[0.5, 0.6], [0.5, 0.5]])},
            "propensities has 1 rows .* sum 1.1",
        ),
        ({"propensities": np.ones(3)}, r"propensities have shape \(3,\)"),
        ({"target": np.array([[0.5, 0.4], [1, 0]])}, "target has 1 rows .* row 0 with the sum 0.9"),
        ({"target": np.array([[1.5, -0.5], [1, 0]])}, "target has 1 rows"),
    ],
)
def test_impossible_logs_are_refused_with_the_row(change, message):
    given = {
        "logged": np.array([0, 1]),
        "propensities": np.array([0.5, 0.5]),
        "target": np.array([[0.5, 0.5], [1, 0]]),
    }
    with pytest.raises(ValueError, match=message):
        importance_weights(**given | change)


def test_clusters_of_another_length_are_refused():
    with pytest.raises(ValueError, match=r"clusters have shape \(3,\); allowed is \(4,\)"):
        estimate(np.ones(4), np.ones(4), np.arange(3))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((np.ones(4), np.ones((4, 1))), r"weights have shape \(4,\) and rewards \(4, 1\)"),
        ((np.ones(0), np.ones(0)), "with one row or more"),
        ((np.ones(4), np.array([0, 1, np.nan, np.inf])), "2 of 4 rewards are not finite"),
        ((np.ones(4), np.ones(4), None, None, 0.0), r"clip is 0.0; allowed is above 0"),
    ],
)
def test_what_cannot_be_estimated_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        estimate(*given)


def test_values_of_other_actions_than_the_targets_are_refused():
    with pytest.raises(ValueError, match=r"values have shape \(3, 2\); allowed is \(2, 2\)"):
        predict(np.array([0, 1]), np.full((2, 2), 0.5), np.ones((3, 2)))


def test_the_smallest_propensity_leaves_all_numbers_finite():
    propensities = np.where(np.arange(40) == 3, 1e-50, 0.5)
    weights, _ = importance_weights(np.zeros(40, int), propensities, np.ones((40, 1)))
    found = estimate(weights, np.ones(40))
    assert np.isfinite([found[name].value for name in found]).all()
