"""exp, log, logistic and the inverse normal against float64, and no silent float64 inside."""

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from slowfast_rl.members.numerics import exp, inverse_normal, log, logistic


@njit
def _over(function: Callable[[Any], Any], values: np.ndarray, out: np.ndarray) -> None:
    for i in range(len(values)):
        out[i] = function(values[i])


def over(function: Callable[[Any], Any], values: np.ndarray) -> np.ndarray:
    """Apply a kernel to an array."""
    out = np.empty(len(values), np.float64)
    _over(function, values, out)
    return out


def largest(values: np.ndarray) -> float:
    return float(np.abs(values).max())


def test_exp_has_a_relative_error_below_2e_7_on_its_whole_range() -> None:
    x = np.linspace(-87, 88, 1_000_003).astype(np.float32)
    assert largest(over(exp, x) / np.exp(x.astype(np.float64)) - 1) < 2e-7


def test_exp_has_a_relative_error_below_2e_7_near_zero() -> None:
    size = np.logspace(-30, 0, 200_001)
    x = np.concatenate([-size, [0.0], size]).astype(np.float32)
    assert largest(over(exp, x) / np.exp(x.astype(np.float64)) - 1) < 2e-7


@pytest.mark.parametrize(("x", "clipped"), [(-200.0, -87.0), (-math.inf, -87.0), (1e9, 88.0)])
def test_exp_clips_what_float32_cannot_hold(x: float, clipped: float) -> None:
    assert exp(np.float32(x)) == exp(np.float32(clipped))
    assert exp(np.float32(x)) == pytest.approx(math.exp(clipped), rel=2e-7)


def test_log_has_a_relative_error_below_3e_7_for_every_binade() -> None:
    x = np.logspace(-37, 38, 1_000_003).astype(np.float32)
    exact = np.log(x.astype(np.float64))
    assert largest((over(log, x) - exact) / np.maximum(np.abs(exact), 1)) < 3e-7


def test_log_has_an_absolute_error_below_2e_7_near_one() -> None:
    x = np.linspace(0.5, 2, 1_000_003).astype(np.float32)
    assert largest(over(log, x) - np.log(x.astype(np.float64))) < 2e-7
    assert log(np.float32(1)) == 0


def test_logistic_has_a_relative_error_below_5e_7() -> None:
    x = np.linspace(-40, 40, 1_000_003).astype(np.float32)
    assert largest(over(logistic, x) * (1 + np.exp(-x.astype(np.float64))) - 1) < 5e-7


@given(st.floats(-20, 20, width=32), st.floats(-20, 20, width=32))
def test_logistic_rises(a: float, b: float) -> None:
    low, high = sorted((np.float32(a), np.float32(b)))
    assert logistic(low) <= logistic(high)
    assert 0 < logistic(low) <= 1


@given(st.floats(-16, 16, width=32))
def test_logistic_of_x_and_of_minus_x_add_up_to_one(x: float) -> None:
    both = float(logistic(np.float32(x))) + float(logistic(np.float32(-x)))
    assert both == pytest.approx(1, abs=2e-7)


def test_inverse_normal_agrees_with_the_exact_quantile() -> None:
    words = np.linspace(0, 2**23 - 1, 40_001).astype(np.int64)  # every u that `normal` can give
    u = ((words + 0.5) * 2.0**-23).astype(np.float32)
    exact = np.array([NormalDist().inv_cdf(float(p)) for p in u])
    error = over(inverse_normal, u) - exact
    assert largest(error[np.abs(exact) < 3]) < 4e-6
    assert largest(error) < 4e-5


def test_inverse_normal_is_antisymmetric_and_finite_at_both_ends() -> None:
    words = np.unique(np.logspace(0, 22, 3_001, base=2).astype(np.int64)) - 1
    low = ((words + 0.5) * 2.0**-23).astype(np.float32)
    z = over(inverse_normal, low)
    assert np.array_equal(z, -over(inverse_normal, np.float32(1) - low))
    assert z[0] == pytest.approx(-5.29, abs=0.01)
    assert (np.diff(z) > 0).all()


def test_inverse_normal_of_a_half_is_zero() -> None:
    assert inverse_normal(np.float32(0.5)) == 0
