"""The equations agree with a float64 reference."""

import math
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slowfast_rl.benchmarks.numpy_equations import Equations
from slowfast_rl.members import dynamics
from slowfast_rl.members.constants import constants, mean_relevance
from tests.members.worlds import world

WORLDS = ("pronounced", "calibrated")
CONSTANTS = {name: constants(world(name)) for name in WORLDS}
REFERENCE = {name: Equations(world(name)) for name in WORLDS}

either_world = st.sampled_from(WORLDS)
channels = st.sampled_from((0, 1))


def numbers(low: float, high: float) -> st.SearchStrategy[np.float32]:
    return st.floats(low, high, width=32).map(np.float32)


unit = numbers(0, 1)
logits = numbers(-8, 8)
sensitivity = numbers(0, 8)
fatigue = numbers(0, 40)
felt = numbers(0, 60)
days = st.one_of(st.integers(0, 400).map(np.float32), st.just(np.float32(1e6)))


def check(kernel_value: Any, exact: Any) -> None:
    """Probabilities agree within 1e-6."""
    assert isinstance(kernel_value, float | np.float32)
    assert abs(float(kernel_value) - float(exact)) <= 1e-6


class TestAgreesWithReference:
    """The same inputs, in float32 and in float64."""

    @given(either_world, logits, unit, unit, sensitivity, fatigue, numbers(0, 8), st.integers(0, 6))
    def test_organic_view(
        self, name: str, b: Any, H: Any, G: Any, kappa: Any, F: Any, L: Any, weekday: int
    ) -> None:
        total = kappa * F
        got = dynamics.organic_view(CONSTANTS[name], b, H, G, total, L, weekday)
        check(got, REFERENCE[name].p_day(float(b), H, G, 1, float(total), float(L), weekday))

    @given(unit, st.integers(1, 12), st.data())
    def test_organic_hazard(self, p_day: Any, slots: int, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, slots - 1))
        p_day = np.float32(min(p_day, np.float32(0.999)))
        exact = REFERENCE["pronounced"].hazard(float(p_day), index + 1, slots)
        check(dynamics.organic_hazard(p_day, index, slots), exact)

    @given(either_world, numbers(-6, 6), numbers(-6, 6), numbers(0, 8))
    def test_relevance(self, name: str, q: Any, theta: Any, L: Any) -> None:
        exact = REFERENCE[name].relevance(float(q), float(theta), float(L))
        check(dynamics.relevance(CONSTANTS[name], q, theta, L), exact)

    @given(either_world, sensitivity, fatigue, fatigue)
    def test_felt_fatigue(self, name: str, kappa: Any, own: Any, others: Any) -> None:
        got = dynamics.felt_fatigue(CONSTANTS[name], kappa, own, own + others)
        exact = REFERENCE[name].felt(
            float(kappa), float(own), float(np.float32(own + others)) - own
        )
        assert float(got) == pytest.approx(exact, rel=1e-6, abs=1e-5)

    @given(either_world, channels, numbers(0, 3), numbers(2**-10, 1), days, felt, unit)
    def test_response(self, name: str, c: int, A: Any, r: Any, t: Any, E: Any, H: Any) -> None:
        since = math.inf if t == 1e6 else float(t)
        exact = REFERENCE[name].response(c, float(A), float(r), since, float(E), float(H))
        check(dynamics.response(CONSTANTS[name], c, A, r, t, E, H), exact)

    @given(either_world, channels, numbers(0, 20), felt)
    def test_dismissal(self, name: str, c: int, psi: Any, E: Any) -> None:
        exact = REFERENCE[name].dismissal(c, float(psi), float(E))
        check(dynamics.dismissal(CONSTANTS[name], c, psi, E), exact)

    @given(either_world, channels, numbers(0, 16), numbers(0, 30), unit)
    def test_opt_out(self, name: str, c: int, phi: Any, E: Any, r: Any) -> None:
        exact = REFERENCE[name].opt_out(c, float(phi), float(E), float(r))
        check(dynamics.opt_out(CONSTANTS[name], c, phi, E, r), exact)

    @given(either_world, numbers(0, 8), unit, st.booleans())
    def test_fatigue_after_send(self, name: str, F: Any, r: Any, opened: bool) -> None:
        exact = REFERENCE[name].fatigue_after_send(float(F), float(r), opened)
        check(dynamics.fatigue_after_send(CONSTANTS[name], F, r, opened), exact)

    @given(either_world, channels, unit, sensitivity)
    def test_goodwill(self, name: str, c: int, G: Any, kappa: Any) -> None:
        w, reference = CONSTANTS[name], REFERENCE[name]
        exact = reference.goodwill_after_unopened(c, float(G), float(kappa))
        check(dynamics.goodwill_after_unopened(w, c, G, kappa), exact)
        check(dynamics.goodwill_after_day(w, G), reference.goodwill_after_day(float(G)))

    @given(either_world, unit, st.booleans())
    def test_habit_and_churn(self, name: str, H: Any, viewed: bool) -> None:
        w, reference = CONSTANTS[name], REFERENCE[name]
        check(
            dynamics.habit_after_day(w, H, int(viewed)), reference.habit_after_day(float(H), viewed)
        )
        check(dynamics.churn(w, H), reference.churn(float(H)))

    @given(unit, unit)
    def test_expected_view(self, hazard: Any, p_m: Any) -> None:
        exact = REFERENCE["pronounced"].expected_view(float(hazard), float(p_m))
        check(dynamics.expected_view(hazard, p_m), exact)

    @pytest.mark.parametrize("name", WORLDS)
    def test_the_normaliser_of_relevance(self, name: str) -> None:
        assert mean_relevance(world(name)) == pytest.approx(REFERENCE[name].mean_r, rel=1e-9)

    @pytest.mark.parametrize("name", WORLDS)
    def test_daily_shares(self, name: str) -> None:
        w, reference = CONSTANTS[name], REFERENCE[name]
        for c in range(2):
            check(w.fatigue_kept[c], reference.fatigue_after_day(c, 1))


@settings(max_examples=300)
@given(st.integers(1, 255), st.integers(0, 2**32 - 1))
def test_a_candidates_topic_and_quality_come_from_one_word(num_topics: int, word: int) -> None:
    topic, quality = dynamics.candidate(num_topics, np.uint32(word))
    rest = word * num_topics % 2**32
    assert topic == word * num_topics // 2**32
    exact = NormalDist().inv_cdf((rest // 2**9 + 0.5) / 2**23)
    assert float(quality) == pytest.approx(exact, abs=4e-5)
