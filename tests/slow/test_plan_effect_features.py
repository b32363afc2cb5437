import numpy as np
from numpy.testing import assert_allclose

from slowfast_rl.members.population import Population
from slowfast_rl.policies.executor import default_executor
from slowfast_rl.policies.plan_exchange import plan_request
from slowfast_rl.slow.plan_effect_features import mean_viewing, observation_terms
from tests.members.worlds import world


def test_mean_viewing_of_young_members_weighs_the_weeks_they_had():
    w = world("deathless")
    population = Population(w, 50, 3, 3)
    viewed = []
    for weeks in range(1, 7):
        population_week = default_executor().run_week(
            population, np.tile(np.int32([2, 1]), (50, 1))
        )
        viewed.append(population_week.viewing_days)
        for length in (4, 20):
            share = (1 - 1 / length) ** np.arange(weeks)[::-1]
            expected = np.tensordot(share, np.array(viewed), 1) / share.sum()
            seen = mean_viewing(w, plan_request(population).observations, length)
            assert_allclose(seen, expected, rtol=1e-4, atol=1e-5)


def test_terms_are_the_signals_and_finite_numbers_after_them():
    for name in ("pronounced", "in_app"):
        w = world(name)
        population = Population(w, 20, 3, 3)
        for _ in range(3):
            observations = plan_request(population).observations
            terms = observation_terms(w, observations)
            assert_allclose(terms[:, : observations.shape[1]], observations)
            assert np.isfinite(terms).all()
            assert terms.shape[1] == observations.shape[1] + 5 + 4 * len(w.channels)
            default_executor().run_week(population, np.zeros((20, len(w.channels)), np.int32))


def test_a_share_per_send_is_shrunk_to_a_tenth_by_ten_sends():
    w = world("pronounced")
    observations = np.zeros((1, 57), np.float32)
    terms = observation_terms(w, observations)[0]
    assert_allclose(terms[57 + 5 : 57 + 7], [0.1, np.log(0.1)], rtol=1e-6)
