"""The equations give what is worked out on paper."""

import numpy as np
import pytest

from slowfast_rl.members import dynamics
from slowfast_rl.members.constants import constants
from tests.members.worlds import world


def f(*values: float) -> tuple[np.float32, ...]:
    return tuple(np.float32(v) for v in values)


class TestByHand:
    """Single values of `pronounced`, worked out on paper from the page."""

    w = constants(world("pronounced"))

    def test_organic_view_of_a_fresh_member_on_friday(self) -> None:
        # logit .2 = -1.386294; -1.386294 + 2.4*.2 + .10 + .1*1.5 + 0 - 0 = -.656294
        p = dynamics.organic_view(self.w, *f(-1.386294, 0.2, 1, 0, 1.5), 4)
        assert float(p) == pytest.approx(0.3415726, abs=1e-6)

    def test_organic_view_of_a_tired_and_angry_member_on_monday(self) -> None:
        # 0 + 2.4*.5 - .15 + 0 + .6*(.9 - 1) - .012*10 = .87
        p = dynamics.organic_view(self.w, *f(0, 0.5, 0.9, 10, 0), 0)
        assert float(p) == pytest.approx(0.7047457, abs=1e-6)

    def test_an_organic_hazard_is_a_probability_however_many_slots_a_day_has(self) -> None:
        for slots in range(1, 128):
            hazards = [
                float(dynamics.organic_hazard(np.float32(1), s, slots)) for s in range(slots)
            ]
            assert 0 < min(hazards) <= max(hazards) <= 1

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
