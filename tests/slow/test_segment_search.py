import numpy as np
import pytest
from numpy.testing import assert_array_equal

from slowfast_rl.members.population import Population
from slowfast_rl.policies.executor import default_executor
from slowfast_rl.policies.plan_exchange import choose_plans, plan_request
from slowfast_rl.slow import SegmentsPlanner
from slowfast_rl.slow.branches import burn_in
from slowfast_rl.slow.segment_search import Search, improve, neighbours
from tests.members.worlds import world
from tests.slow.cases import small_world

THRESHOLDS = np.array([1.0, 3.0])


def start(w, num_members=70):
    population = Population(w, num_members, 8, 8)
    burn_in(population, 3, 8, 0)
    return population.take(population.alive)


def lived(w, plans, weeks):
    """The summed return of members whose plans follow their segment, as a planner would live."""
    state = {"thresholds": THRESHOLDS.tolist(), "plans": w.plans[plans].tolist()}
    planner = SegmentsPlanner.from_state(w, SegmentsPlanner(segments=3).settings, state)
    population, total = start(w), 0.0
    for week in range(weeks):
        chosen = w.plans[choose_plans(planner, plan_request(population))]
        reward = default_executor().run_week(population, chosen).reward.sum()
        total += w.reward.weekly_discount**week * reward
    return total


def test_neighbours_are_one_step_on_the_menu_from_the_plans():
    w = world("pronounced")
    plans = np.array([w.plan_index((5, 2)), w.plan_index((0, 0)), w.plan_index((14, 7))])
    found = {tuple(map(tuple, w.plans[n].tolist())) for n in neighbours(w, plans)}
    one = {((p, 2), (0, 0), (14, 7)) for p in (4, 7)} | {((5, e), (0, 0), (14, 7)) for e in (1, 3)}
    one |= {((5, 2), p, (14, 7)) for p in ((1, 0), (0, 1))}
    one |= {((5, 2), (0, 0), p) for p in ((10, 7), (14, 5))}
    assert found == one


def test_a_round_goes_to_the_neighbour_that_lives_best():
    w = small_world("eventful")
    plans = np.array([0, 3, 5])
    tried = [plans, *neighbours(w, plans)]
    returns = [lived(w, p, 5) for p in tried]
    better, _, simulation = improve([start(w)], THRESHOLDS, Search(plans, 0, 0), 5, 1)
    assert_array_equal(better, tried[int(np.argmax(returns))])
    assert simulation == len(tried) * start(w).num_members


def test_rounds_end_where_no_neighbour_is_better():
    w = small_world("costly")
    never = np.zeros(3, np.int64)
    plans, _, simulation = improve([start(w)], THRESHOLDS, Search(never, 0, 0), 4, 50)
    assert_array_equal(plans, never)
    assert simulation == 7 * start(w).num_members  # one round: these and six neighbours
    far, *_ = improve([start(w)], THRESHOLDS, Search(never + 5, 0, 0), 4, 50)
    assert_array_equal(far, never)


@pytest.mark.parametrize("rounds", [1, 3])
def test_more_rounds_never_live_worse(rounds):
    w = small_world("eventful")
    plans = np.array([5, 5, 5])
    better, *_ = improve([start(w)], THRESHOLDS, Search(plans, 0, 0), 5, rounds)
    assert lived(w, better, 5) >= lived(w, plans, 5)


def test_neighbours_have_another_shape_of_the_same_sends_too():
    w = world("shaped")
    plans = np.array([w.plan_index((5, 2), "weekend"), w.plan_index((0, 0))])
    found = [tuple(n.tolist()) for n in neighbours(w, plans)]
    shapes = {(w.plan_index((5, 2), s), plans[1]) for s in w.shape_names if s != "weekend"}
    shapes |= {(plans[0], w.plan_index((0, 0), s)) for s in w.shape_names[1:]}
    steps = {(w.plan_index(p, "weekend"), plans[1]) for p in ((4, 2), (7, 2), (5, 1), (5, 3))}
    steps |= {(plans[0], w.plan_index(p)) for p in ((1, 0), (0, 1))}
    assert set(found) == shapes | steps
    assert len(found) == len(set(found))
