import numpy as np
import pytest
from numpy.testing import assert_allclose

from slowfast_rl.fast.regression import (
    logistic_regression,
    response_likelihood,
    response_regression,
)


def simulated(coefficients, size=40_000, seed=0):
    generator = np.random.default_rng(seed)
    features = np.column_stack(
        [np.ones(size), generator.normal(size=(size, len(coefficients) - 1))]
    )
    chance = 1 / (1 + np.exp(-features @ coefficients))
    return features, (generator.random(size) < chance).astype(np.float64)


def test_known_coefficients_are_recovered_within_their_standard_errors():
    truth = np.array([-1.5, 0.8, -0.3, 0.0])
    features, labels = simulated(truth)
    found, _ = logistic_regression(features, labels)
    p = 1 / (1 + np.exp(-features @ truth))
    errors = np.sqrt(np.diag(np.linalg.inv((features * (p * (1 - p))[:, None]).T @ features)))
    assert (np.abs(found - truth) < 4 * errors).all()


def test_an_intercept_alone_is_the_logit_of_the_mean():
    labels = np.array([1, 0, 0, 0, 1.0])
    found, likelihood = logistic_regression(np.ones((5, 1)), labels, ridge=1e-12)
    assert_allclose(found, np.log(0.4 / 0.6))
    assert_allclose(likelihood, 2 * np.log(0.4) + 3 * np.log(0.6))


def test_the_gradient_is_zero_at_the_solution():
    features, labels = simulated(np.array([0.5, 2, -1]), size=500)
    found, _ = logistic_regression(features, labels, ridge=0.5)
    p = 1 / (1 + np.exp(-features @ found))
    assert_allclose(features.T @ (labels - p) - 0.5 * found, 0, atol=1e-6)


@pytest.mark.parametrize("scale", [1, 1e3, 1e6])
def test_labels_that_can_be_told_apart_fully_still_give_finite_coefficients(scale):
    features = np.column_stack([np.ones(6), scale * np.array([-3, -2, -1, 1, 2, 3.0])])
    labels = np.array([0, 0, 0, 1, 1, 1.0])
    found, likelihood = logistic_regression(features, labels)
    assert np.isfinite(found).all()
    assert -0.1 < likelihood <= 0


@pytest.mark.parametrize("seed", [26, 53, 103])
def test_whole_newton_steps_that_would_overshoot_are_shortened(seed):
    generator = np.random.default_rng(seed)  # heavy tails and rare labels
    tails = generator.normal(size=(40, 4)) * np.exp(3 * generator.normal(size=(40, 1)))
    features, labels = np.column_stack([np.ones(40), tails]), generator.random(40) < 0.05
    labels = np.where(np.arange(40) < 2, [True, False] * 20, labels).astype(np.float64)
    found, _ = logistic_regression(features, labels)
    p = np.exp(-np.logaddexp(0, -features @ found))
    assert_allclose(features.T @ (labels - p) - 1e-3 * found, 0, atol=1e-5)


@pytest.mark.parametrize("labels", [[], [1.0, 1.0], [0.0, 0.0]])
def test_nothing_can_be_learned_from_labels_that_are_all_equal(labels):
    with pytest.raises(ValueError, match="some of both are needed"):
        logistic_regression(np.ones((len(labels), 1)), np.array(labels))


def responding(truth, base, size=60_000, seed=0):
    features, _ = simulated(truth, size, seed)
    chance = base + (1 - base) / (1 + np.exp(-features @ truth))
    return features, (np.random.default_rng(seed + 1).random(size) < chance).astype(np.float64)


def test_a_response_on_top_of_a_base_is_recovered():
    truth = np.array([-2.0, 0.8, -0.3])
    base = np.random.default_rng(5).uniform(0, 0.8, 60_000)
    features, labels = responding(truth, base)
    found = response_regression(features[:, ::-1], labels, base, ridge=1e-3)[::-1]
    assert_allclose(found, truth, atol=0.12)


def test_without_a_base_a_response_is_a_logistic_regression():
    features, labels = simulated(np.array([-1.5, 0.8, -0.3]), size=2000)
    wanted, _ = logistic_regression(features, labels)
    found = response_regression(features, labels, np.zeros(2000), ridge=1e-3)
    assert_allclose(found, wanted, atol=1e-4)


def test_a_response_that_never_comes_is_found_to_be_rare():
    base = np.full(40_000, 0.3)
    labels = (np.random.default_rng(0).random(40_000) < base).astype(np.float64)
    intercept = response_regression(np.ones((40_000, 1)), labels, base, ridge=1e-3)
    assert 1 / (1 + np.exp(-intercept[0])) < 0.01


@pytest.mark.parametrize("labels", [[], [1.0, 1.0], [0.0, 0.0]])
def test_no_response_can_be_learned_from_labels_that_are_all_equal(labels):
    with pytest.raises(ValueError, match="some of both are needed"):
        response_regression(
            np.ones((len(labels), 1)), np.array(labels), np.zeros(len(labels)), ridge=1
        )


def test_the_prior_draws_coefficients_to_0_but_not_the_intercept():
    features, labels = responding(np.array([-2.0, 0.8]), np.full(60_000, 0.2))
    found = response_regression(features[:, ::-1], labels, np.full(60_000, 0.2), ridge=1e6)
    mean = (labels.mean() - 0.2) / 0.8
    assert abs(found[0]) < 0.01
    assert 1 / (1 + np.exp(-found[1])) == pytest.approx(mean, abs=0.002)


def test_the_likelihood_of_a_response_is_that_of_its_chance():
    features, labels = np.array([[1.0], [1.0], [2.0]]), np.array([1.0, 0, 1])
    base, logits = np.array([0.2, 0.0, 0.5]), np.array([0.5, 0.5, 1.0])
    chance = base + (1 - base) / (1 + np.exp(-logits))
    wanted = np.log([chance[0], 1 - chance[1], chance[2]]).sum()
    assert response_likelihood(features, labels, base, np.array([0.5])) == pytest.approx(wanted)
