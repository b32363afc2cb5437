"""Parts that studies derive from the library's, or fit, see and learn what they say."""

import numpy as np
import pytest

from slowfast_rl.members.population import Population
from slowfast_rl.policies.plan_exchange import plan_request
from tests.experiments.studies import study_module
from tests.members.worlds import world
from tests.slow.cases import small_world


@pytest.mark.parametrize("explained", [0.5, 1.0])
def test_an_informed_planner_sees_no_latent_but_a_noisy_log_sensitivity(explained):
    w = world("pronounced")
    planner = study_module("information").InformedPlanner(w, explained).prepare(w)
    population = Population(w, 400, 77, 77)
    request = plan_request(population, None, planner)
    inputs = planner.inputs(request)
    latents = inputs[:, request.observations.shape[1] :]
    assert latents.shape == request.latents.shape
    assert np.flatnonzero(latents.any(axis=0)).tolist() == [planner._column]
    truth = np.log(population.simulation.traits.fatigue_sensitivity)
    r2 = np.corrcoef(latents[:, planner._column], truth)[0, 1] ** 2
    assert r2 == pytest.approx(explained, abs=0.1)


def test_a_student_learns_from_its_teacher_and_again_from_the_start():
    planner = study_module("recipes", "student").StudentPlanner(residual=True, quick=True)
    w = small_world()
    for _ in range(2):
        planner.learn(w, seed=3)
        assert len(planner.values) == len(planner.scales) == 2
    population = Population(w, 50, 77, 77, belief_filter=planner.belief_filter)
    request = plan_request(population, None, planner)
    plans = planner.plan(request)
    assert request.feasible[np.arange(50), plans].all()


def test_the_pacing_study_fits_every_pacer_with_the_sizes_and_the_seed_that_it_is_given():
    w, sizes = world("pronounced"), {"num_members": 64, "weeks": 12}
    fit = study_module("pacing").fit
    one, again, other = (fit(w, sizes, seed) for seed in (1, 1, 2))
    priced = "bid price", "affinity"
    assert one[priced].pacer.settings.num_members == one[priced].ranker.settings.num_members == 64
    assert one[priced].pacer.quantiles == again[priced].pacer.quantiles
    assert one[priced].pacer.quantiles != other[priced].pacer.quantiles
    assert one[priced].ranker.learned != other[priced].ranker.learned
