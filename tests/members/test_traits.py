"""Traits: the laws by their moments, the normalisers by closed forms, one row per member."""

from functools import cache
from math import erf, exp, log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slowfast_rl.benchmarks.numpy_equations import Equations, sigma
from slowfast_rl.members.constants import mean_slope, typical_rate
from slowfast_rl.members.loading import load_world
from slowfast_rl.members.traits import MemberTraits, draw_traits
from slowfast_rl.members.world import World
from tests.members.worlds import world

MANY = 200_000


@cache
def sample(name: str) -> MemberTraits:
    return draw_traits(world(name), 5, np.arange(MANY, dtype=np.uint32))


def check_mean(values: np.ndarray, expected: float) -> None:
    """The mean lies within four standard errors, and these are small."""
    values = values.astype(np.float64)
    error = values.std() / sqrt(len(values))
    assert error < 0.01 * abs(expected)
    assert values.mean() == pytest.approx(expected, abs=4 * error)


def phi(z: float) -> float:
    return (1 + erf(z / sqrt(2))) / 2


def closed_form_slope(w: World) -> float:
    """E[(m / x)^alpha] of a clipped lognormal x, piece by piece."""
    traits = w.traits
    m, s, alpha = (
        exp(traits.base_rate_location),
        traits.base_rate_spread,
        traits.responsiveness_slope,
    )
    low, high = log(traits.base_rate_low / m) / s, log(traits.base_rate_high / m) / s
    middle = exp((alpha * s) ** 2 / 2) * (phi(high + alpha * s) - phi(low + alpha * s))
    clipped = exp(-alpha * s * low) * phi(low) + exp(-alpha * s * high) * (1 - phi(high))
    return middle + clipped


@pytest.mark.parametrize("slope", [0.1, 0.3, -0.5, 1.0])
def test_the_slopes_normaliser_is_its_expectation(slope: float) -> None:
    w = load_world("pronounced", {"traits.responsiveness_slope": slope})
    assert mean_slope(w.traits) == pytest.approx(closed_form_slope(w), rel=1e-5)


def test_the_slopes_normaliser_matches_the_sample_mean() -> None:
    traits = world("pronounced").traits
    x = sample("pronounced").base_rate.astype(np.float64)
    check_mean((typical_rate(traits) / x) ** traits.responsiveness_slope, mean_slope(traits))


def test_the_typical_rate_is_the_median_of_the_law() -> None:
    assert typical_rate(world("pronounced").traits) == pytest.approx(0.15, abs=1e-6)
    assert typical_rate(world("calibrated").traits) == pytest.approx(sigma(0.11), abs=1e-9)
    for name in ("pronounced", "calibrated"):
        median = np.median(sample(name).base_rate)
        assert median == pytest.approx(typical_rate(world(name).traits), rel=0.015)


def test_base_rates_are_lognormal_and_clipped_in_pronounced() -> None:
    x = sample("pronounced").base_rate.astype(np.float64)
    assert x.min() == pytest.approx(0.01)
    assert x.max() == pytest.approx(0.9)
    inside = (x > 0.0100001) & (x < 0.899999)
    low, high = log(0.01 / 0.15) / 0.9, log(0.9 / 0.15) / 0.9
    assert inside.mean() == pytest.approx(phi(high) - phi(low), abs=0.002)
    z = (np.log(x) - log(0.15)) / 0.9
    for q in (-1.5, -0.5, 0, 0.5, 1.5):
        assert (z < q).mean() == pytest.approx(phi(q), abs=4 * 0.5 / sqrt(MANY))


def test_base_rates_are_logitnormal_and_unclipped_in_calibrated() -> None:
    x = sample("calibrated").base_rate.astype(np.float64)
    logit = np.log(x / (1 - x))
    assert logit.mean() == pytest.approx(0.11, abs=4 * 2.6 / sqrt(MANY))
    assert logit.std() == pytest.approx(2.6, rel=4 / sqrt(2 * MANY))
    assert x.min() < 0.001
    assert x.max() > 0.999


@pytest.mark.parametrize("name", ["pronounced", "calibrated", "in_app"])
def test_responsiveness_has_the_worlds_mean_on_each_channel(name: str) -> None:
    for c, mean in enumerate(world(name).traits.responsiveness):
        check_mean(sample(name).responsiveness[:, c], mean)


@pytest.mark.parametrize("name", ["pronounced", "calibrated"])
def test_sensitivity_propensity_and_frailty_have_mean_one(name: str) -> None:
    traits = sample(name)
    check_mean(traits.fatigue_sensitivity, 1)
    check_mean(traits.dismissal_propensity, 1)
    for c in range(2):
        check_mean(traits.opt_out_frailty[:, c], 1)


def test_lognormal_traits_have_the_worlds_spread() -> None:
    traits, law = sample("pronounced"), world("pronounced").traits
    for values, spread in (
        (traits.fatigue_sensitivity, law.fatigue_sensitivity_spread),
        (traits.dismissal_propensity, law.dismissal_spread),
    ):
        assert np.log(values).std() == pytest.approx(spread, rel=4 / sqrt(2 * MANY))


def test_responsiveness_falls_with_the_base_rate_by_its_slope() -> None:
    traits = sample("pronounced")
    log_x = np.log(traits.base_rate.astype(np.float64))
    slope = np.polyfit(log_x, np.log(traits.responsiveness[:, 0]), 1)[0]
    assert slope == pytest.approx(-0.1, abs=0.006)


def test_frailty_is_exponential() -> None:
    frailty = sample("pronounced").opt_out_frailty[:, 1]
    for value in (0.1, 0.7, 2, 4):
        assert (frailty > value).mean() == pytest.approx(exp(-value), abs=2 / sqrt(MANY))


@pytest.mark.parametrize("name", ["pronounced", "calibrated", "in_app", "homogeneous"])
def test_the_worlds_share_is_opted_in_at_the_start(name: str) -> None:
    for c, share in enumerate(world(name).traits.opt_in):
        opted_in = sample(name).opt_in_start[:, c]
        assert opted_in.mean() == pytest.approx(share, abs=4 * sqrt(share * (1 - share) / MANY))
        assert set(np.unique(opted_in)) <= {0, 1}


def test_tastes_are_standard_normal() -> None:
    taste = sample("pronounced").taste
    assert np.abs(taste.mean(axis=0)).max() < 4 / sqrt(MANY)
    assert taste.std(axis=0) == pytest.approx(np.ones(4), rel=4 / sqrt(2 * MANY))


def test_traits_are_independent_but_for_the_slope() -> None:
    traits = sample("pronounced")
    columns = [
        np.log(traits.base_rate),
        np.log(traits.fatigue_sensitivity),
        np.log(traits.dismissal_propensity),
        *np.log(traits.responsiveness.T / (traits.base_rate**-0.1)),
        *traits.opt_out_frailty.T,
        *traits.taste.T,
        *traits.opt_in_start.T,
    ]
    correlation = np.corrcoef(columns) - np.eye(len(columns))
    assert np.abs(correlation).max() < 4.5 / sqrt(MANY)


def test_the_base_logit_follows_from_the_base_rate() -> None:
    for name in ("pronounced", "calibrated", "in_app"):
        traits = sample(name)
        x = traits.base_rate[:2000].astype(np.float64)
        exact = Equations(world(name)).base_logit(x)
        rounding = 1e-6 + 2e-7 / (1 - x)  # x is a float32 here
        assert (np.abs(traits.base_logit[:2000] - exact) < rounding).all()


def test_two_type_members_hold_one_of_two_sensitivities_in_the_worlds_shares() -> None:
    sensitivity = sample("two_type").fatigue_sensitivity
    assert set(np.unique(sensitivity)) == {np.float32(0.2), np.float32(5)}
    assert (sensitivity == 5).mean() == pytest.approx(1 / 6, abs=4 * 0.3727 / sqrt(MANY))


def test_homogeneous_members_are_equal_in_all_that_a_plan_could_use() -> None:
    traits = sample("homogeneous")
    for values in (
        traits.base_rate,
        traits.base_logit,
        traits.fatigue_sensitivity,
        traits.dismissal_propensity,
        *traits.responsiveness.T,
        *traits.opt_in_start.T,
    ):
        assert len(np.unique(values)) == 1
    assert traits.fatigue_sensitivity[0] == traits.dismissal_propensity[0] == 1
    assert traits.responsiveness[0] == pytest.approx([0.125, 0.09])


@settings(max_examples=30)
@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=9), st.integers(0, 2**32 - 1))
def test_a_members_traits_do_not_depend_on_the_batch(members: list[int], seed: int) -> None:
    together = draw_traits(world("pronounced"), seed, np.array(members, np.uint32))
    for row, member in enumerate(members):
        alone = draw_traits(world("pronounced"), seed, np.array([member], np.uint32))
        for name in MemberTraits._fields:
            assert np.array_equal(getattr(together, name)[row], getattr(alone, name)[0])


def test_another_population_seed_gives_other_members() -> None:
    ids = np.arange(100, dtype=np.uint32)
    one, other = (draw_traits(world("pronounced"), seed, ids) for seed in (1, 2))
    assert not np.any(one.fatigue_sensitivity == other.fatigue_sensitivity)
    assert not np.any(one.taste == other.taste)
