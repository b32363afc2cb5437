"""The equations against a float64 reference, by hand, and by the sign of every argument."""

import math
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slowfast_rl.members import dynamics
from slowfast_rl.members.constants import Constants, constants, mean_relevance
from tests.members.reference import Reference
from tests.members.worlds import world

WORLDS = ("pronounced", "calibrated")
CONSTANTS = {name: constants(world(name)) for name in WORLDS}
REFERENCE = {name: Reference(world(name)) for name in WORLDS}

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


def f(*values: float) -> tuple[np.float32, ...]:
    return tuple(np.float32(v) for v in values)


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


class TestByHand:
    """Single values of `pronounced`, worked out on paper from the page."""

    w = CONSTANTS["pronounced"]

    def test_organic_view_of_a_fresh_member_on_friday(self) -> None:
        # logit .2 = -1.386294; -1.386294 + 2.4*.2 + .10 + .1*1.5 + 0 - 0 = -.656294
        p = dynamics.organic_view(self.w, *f(-1.386294, 0.2, 1, 0, 1.5), 4)
        assert float(p) == pytest.approx(0.3415726, abs=1e-6)

    def test_organic_view_of_a_tired_and_angry_member_on_monday(self) -> None:
        # 0 + 2.4*.5 - .15 + 0 + .6*(.9 - 1) - .012*10 = .87
        p = dynamics.organic_view(self.w, *f(0, 0.5, 0.9, 10, 0), 0)
        assert float(p) == pytest.approx(0.7047457, abs=1e-6)

    def test_organic_hazards_of_three_slots_give_the_days_probability(self) -> None:
        p = np.float32(0.6)  # .2, then .2 / .8, then .2 / .6
        hazards = [float(dynamics.organic_hazard(p, s, 3)) for s in range(3)]
        assert hazards == pytest.approx([0.2, 0.25, 1 / 3], abs=1e-6)

    def test_relevance_of_an_average_candidate(self) -> None:
        assert float(dynamics.relevance(self.w, *f(0, 0, 0))) == pytest.approx(0.3775407, abs=1e-6)
        # .5 + .8*1 + .5*1 - .5 = 1.3
        assert float(dynamics.relevance(self.w, *f(0.5, 1, 1))) == pytest.approx(
            0.7858350, abs=1e-6
        )

    def test_felt_fatigue_adds_three_tenths_of_the_other_channel(self) -> None:
        assert float(dynamics.felt_fatigue(self.w, *f(2, 5, 9))) == pytest.approx(12.4, abs=1e-5)

    def test_response_of_a_rested_habitual_member_to_a_new_topic(self) -> None:
        # .125 * 1 * 1 * 1 * (1 - .9 e^-6) with r = E[r]
        p = dynamics.response(self.w, 0, np.float32(0.125), self.w.mean_relevance, *f(1e6, 0, 1))
        assert float(p) == pytest.approx(0.125 * (1 - 0.9 * 0.00247875), abs=1e-6)

    def test_response_to_a_worn_topic_of_a_tired_lapsed_member(self) -> None:
        # A 2 (wear 1 - .3/2) (fatigue e^(-.09*10)) (lapsed 1 - .9)
        r = np.float32(2 * self.w.mean_relevance)
        p = dynamics.response(self.w, 0, np.float32(0.125), r, *f(15, 10, 0))
        assert float(p) == pytest.approx(0.125 * 2 * 0.85 * 0.4065697 * 0.1, abs=1e-6)

    def test_response_stops_at_four_fifths(self) -> None:
        p = dynamics.response(self.w, 0, np.float32(3), self.w.mean_relevance, *f(1e6, 0, 1))
        assert p == np.float32(0.8)

    def test_dismissal(self) -> None:
        assert float(dynamics.dismissal(self.w, 0, *f(1, 0))) == pytest.approx(0.03, abs=1e-6)
        # 1 - .97 * (1 - .3 * (1 - e^-1)) = 1 - .97 * .8103638
        assert float(dynamics.dismissal(self.w, 0, *f(1, 1))) == pytest.approx(0.2139471, abs=1e-6)
        assert float(dynamics.dismissal(self.w, 0, *f(50, 9))) == 1

    def test_opt_out(self) -> None:
        assert float(dynamics.opt_out(self.w, 1, *f(1, 0, 0.5))) == pytest.approx(0.001, abs=1e-9)
        # .001 * 2 * e^(.06*20 + 1*(.5 - .3)) = .002 * e^1.4
        assert float(dynamics.opt_out(self.w, 1, *f(2, 20, 0.3))) == pytest.approx(
            0.0081104, abs=1e-7
        )
        assert dynamics.opt_out(self.w, 1, *f(9, 99, 0)) == np.float32(0.5)

    def test_fatigue_after_send(self) -> None:
        # 3 + (1 - .5*.6) = 3.7 unopened, 3 + .4*.7 = 3.28 opened
        assert float(dynamics.fatigue_after_send(self.w, *f(3, 0.6), 0)) == pytest.approx(3.7)
        assert float(dynamics.fatigue_after_send(self.w, *f(3, 0.6), 1)) == pytest.approx(3.28)
        assert dynamics.fatigue_after_send(self.w, *f(39.9, 0), 0) == 40

    def test_goodwill(self) -> None:
        after = dynamics.goodwill_after_unopened(self.w, 0, *f(0.8, 2))  # .8 e^-.003
        assert float(after) == pytest.approx(0.7976036, abs=1e-6)
        after = dynamics.goodwill_after_day(self.w, np.float32(0.4))  # .4 + .6/120
        assert float(after) == pytest.approx(0.405, abs=1e-6)

    def test_habit_moves_a_fourteenth_of_the_way(self) -> None:
        assert float(dynamics.habit_after_day(self.w, np.float32(0.3), 1)) == pytest.approx(0.35)
        assert float(dynamics.habit_after_day(self.w, np.float32(0.28), 0)) == pytest.approx(0.26)

    def test_churn(self) -> None:
        assert float(dynamics.churn(self.w, np.float32(0))) == pytest.approx(0.0205, abs=1e-7)
        # .0005 + .02 e^-1
        assert float(dynamics.churn(self.w, np.float32(0.2))) == pytest.approx(0.00785759, abs=1e-7)


ARGUMENTS: dict[str, tuple[tuple[str, ...], tuple[float, ...]]] = {
    "organic_view": (
        ("base_logit", "habit", "goodwill", "felt_total", "launch_total"),
        (-1, 0.2, 0.8, 5, 1),
    ),
    "relevance": (("quality", "taste", "launch"), (0, 0, 1)),
    "felt_fatigue": (("sensitivity", "own", "total"), (1, 4, 6)),
    "response": (
        ("responsiveness", "relevance", "topic_days", "felt", "habit"),
        (0.1, 0.5, 10, 3, 0.2),
    ),
    "dismissal": (("propensity", "felt"), (1, 1)),
    "opt_out": (("frailty", "felt", "relevance"), (1, 5, 0.5)),
    "fatigue_after_send": (("fatigue", "relevance", "opened"), (3, 0.5, 0)),
    "goodwill_after_unopened": (("goodwill", "sensitivity"), (0.9, 1)),
    "goodwill_after_day": (("goodwill",), (0.9,)),
    "habit_after_day": (("habit", "viewed"), (0.3, 0)),
    "churn": (("habit",), (0.2,)),
}
PER_CHANNEL = ("response", "dismissal", "opt_out", "goodwill_after_unopened")
SIGNS = [
    ("organic_view", "base_logit", +1),
    ("organic_view", "habit", +1),
    ("organic_view", "goodwill", +1),
    ("organic_view", "felt_total", -1),
    ("organic_view", "launch_total", +1),
    ("relevance", "quality", +1),
    ("relevance", "taste", +1),
    ("relevance", "launch", +1),
    ("felt_fatigue", "sensitivity", +1),
    ("felt_fatigue", "own", +1),
    ("felt_fatigue", "total", +1),
    ("response", "responsiveness", +1),
    ("response", "relevance", +1),
    ("response", "topic_days", +1),
    ("response", "felt", -1),
    ("response", "habit", +1),
    ("dismissal", "propensity", +1),
    ("dismissal", "felt", +1),
    ("opt_out", "frailty", +1),
    ("opt_out", "felt", +1),
    ("opt_out", "relevance", -1),
    ("fatigue_after_send", "fatigue", +1),
    ("fatigue_after_send", "relevance", -1),
    ("fatigue_after_send", "opened", -1),
    ("goodwill_after_unopened", "goodwill", +1),
    ("goodwill_after_unopened", "sensitivity", -1),
    ("goodwill_after_day", "goodwill", +1),
    ("habit_after_day", "habit", +1),
    ("habit_after_day", "viewed", +1),
    ("churn", "habit", -1),
]


def call(w: Constants, equation: str, values: dict[str, float]) -> float:
    front: tuple[Any, ...] = (w, 0) if equation in PER_CHANNEL else (w,)
    back = (0,) if equation == "organic_view" else ()
    inputs = [
        int(v) if name in ("opened", "viewed") else np.float32(v) for name, v in values.items()
    ]
    return float(getattr(dynamics, equation)(*front, *inputs, *back))


class TestSigns:
    """What makes each quantity rise or fall."""

    def test_every_argument_of_every_equation_has_a_sign(self) -> None:
        all_arguments = [(e, a) for e, (names, _) in ARGUMENTS.items() for a in names]
        assert [(equation, argument) for equation, argument, _ in SIGNS] == all_arguments

    @pytest.mark.parametrize(("equation", "argument", "sign"), SIGNS)
    @pytest.mark.parametrize("more", [0.01, 1])
    def test_a_quantity_moves_as_the_page_says(
        self, equation: str, argument: str, sign: int, more: float
    ) -> None:
        names, typical = ARGUMENTS[equation]
        values = dict(zip(names, typical, strict=True))
        before = call(CONSTANTS["pronounced"], equation, values)
        values[argument] += 1 if argument in ("opened", "viewed") else more
        after = call(CONSTANTS["pronounced"], equation, values)
        assert (after - before) * sign > 0

    def test_weekends_see_more_viewing_than_mondays(self) -> None:
        w = CONSTANTS["pronounced"]
        week = [dynamics.organic_view(w, *f(-1, 0.2, 1, 0, 0), day) for day in range(7)]
        assert week[0] == week[1] == week[2] < week[3] < week[4] < week[6] < week[5]


@settings(max_examples=300)
@given(st.integers(1, 255), st.integers(0, 2**32 - 1))
def test_a_candidates_topic_and_quality_come_from_one_word(num_topics: int, word: int) -> None:
    topic, quality = dynamics.candidate(num_topics, np.uint32(word))
    rest = word * num_topics % 2**32
    assert topic == word * num_topics // 2**32
    exact = NormalDist().inv_cdf((rest // 2**9 + 0.5) / 2**23)
    assert float(quality) == pytest.approx(exact, abs=4e-5)
