from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from slowfast_rl.members.loading import load_world
from slowfast_rl.members.population import Population
from slowfast_rl.policies.plan_exchange import plan_request
from slowfast_rl.slow import SegmentsPlanner
from slowfast_rl.slow.branches import burn_in, constant_plan_returns
from slowfast_rl.slow.plan_effect_features import mean_viewing
from slowfast_rl.slow.segment_search import neighbours
from tests.members.worlds import world
from tests.slow.cases import rebuilt, requests, small_world

SMALL = {"num_members": 48, "lucks": 1, "weeks": 4, "burn_in_weeks": 3, "rounds": 0}


def learned(name="pronounced", seed=0, **settings):
    return SegmentsPlanner(**(SMALL | settings)).learn(small_world(name), seed=seed)


def made_up(thresholds, plans):
    """A planner with these segments, as if it had learned them."""
    settings = SegmentsPlanner(**SMALL, segments=len(plans)).settings
    state = {"thresholds": thresholds, "plans": plans}
    return SegmentsPlanner.from_state(small_world(), settings, state)


def viewers(viewing, opted_in=None):
    """Requests of members that viewed so many days a week for 30 weeks."""
    flags = np.ones((len(viewing), 2), bool) if opted_in is None else np.array(opted_in)
    asked = requests(small_world(), flags)
    tenure = 30
    asked.observations[:, 4] = tenure
    asked.observations[:, 3] = np.array(viewing) * (1 - 0.95**tenure)
    return asked


def test_one_segment_has_the_plan_of_the_highest_mean_return():
    w = small_world()
    population = Population(w, 48, 7, 7)
    burn_in(population, 3, 7, 0)
    returns = constant_plan_returns(population, 4)[population.alive]
    planner = learned(seed=7, segments=1)
    assert planner.thresholds == ()
    assert planner.wanted == (tuple(w.plans[returns.mean(axis=0).argmax()].tolist()),)


def test_each_segment_has_the_plan_that_is_best_among_its_own_members():
    w = small_world()
    population = Population(w, 48, 7, 7)
    burn_in(population, 3, 7, 0)
    living = population.alive
    returns = constant_plan_returns(population, 4)[living]
    viewing = mean_viewing(w, plan_request(population).observations)[living]
    planner = learned(seed=7)
    low, high = np.quantile(viewing, [1 / 3, 2 / 3])
    for members, plan in zip(
        (viewing < low, (viewing >= low) & (viewing < high), viewing >= high),
        planner.wanted,
        strict=True,
    ):
        assert 0 < members.sum() < len(viewing)
        assert plan == tuple(w.plans[returns[members].mean(axis=0).argmax()].tolist())


def test_a_member_gets_the_plan_of_the_segment_that_its_viewing_is_in_now():
    planner = made_up([1.0, 3.0], [[14, 7], [2, 0], [0, 0]])
    chosen = small_world().plans[planner.plan(viewers([0.5, 0.99, 1.01, 2.9, 3.1, 7]))]
    assert_array_equal(chosen, [[14, 7], [14, 7], [2, 0], [2, 0], [0, 0], [0, 0]])


def test_a_segments_plan_is_zero_on_channels_that_the_member_left():
    planner = made_up([1.0], [[14, 7], [2, 7]])
    asked = viewers([0, 0, 5, 5], [[True, False], [False, False], [False, True], [True, True]])
    chosen = small_world().plans[planner.plan(asked)]
    assert_array_equal(chosen, [[14, 0], [0, 0], [0, 7], [2, 7]])


def test_segments_with_the_same_plan_are_the_best_fixed_plan():
    same, one = made_up([1.0, 3.0], [[2, 7]] * 3), made_up([], [[2, 7]])
    flags = np.random.default_rng(0).random((50, 2)) < 0.7
    asked = requests(small_world(), flags)
    assert_array_equal(same.plan(asked), one.plan(asked))


@pytest.mark.parametrize("segments", [1, 3])
def test_where_a_send_costs_more_than_it_can_bring_no_segment_gets_any(segments):
    assert set(learned("costly", segments=segments).wanted) == {(0, 0)}


def test_where_nobody_stays_through_the_burn_in_learning_says_so():
    w = load_world("pronounced", {"churn.floor": 1, "churn.scale": 0})
    with pytest.raises(ValueError, match="burn_in_weeks is 3; allowed are fewer"):
        SegmentsPlanner(**SMALL).learn(w)


def test_improved_plans_are_counted_and_other_segments_keep_their_thresholds():
    plain, improved = learned(weeks=12), learned(weeks=12, rounds=1)
    assert improved.thresholds == plain.thresholds
    assert improved.opportunities > plain.opportunities
    moved = np.abs(np.array(improved.wanted) - plain.wanted) > 0
    assert moved.sum() <= 1


def test_a_menu_of_one_plan_leaves_no_choice():
    w = replace(world("pronounced"), menu=((0,), (0,)))
    planner = SegmentsPlanner(**SMALL).learn(w)
    assert planner.wanted == ((0, 0),) * 3


def test_the_same_seed_learns_the_same_and_counts_what_it_played():
    told = []
    planner = SegmentsPlanner(**(SMALL | {"lucks": 2})).learn(
        small_world(), seed=1, progress=told.append
    )
    each = 48 * (3 + 4 * 6) * 21
    assert (told, planner.opportunities) == ([0, each], 2 * each)
    assert planner.state() == learned(seed=1, lucks=2).state()
    assert planner.policy_version == 1
    assert learned(seed=2, lucks=2).thresholds != planner.thresholds


def test_a_segments_planner_comes_back_from_its_state_as_it_was():
    planner = learned()
    again = rebuilt(planner, small_world())
    assert again.settings == planner.settings
    assert again.state() == planner.state()
    asked = viewers(np.linspace(0, 7, 50))
    assert_array_equal(again.plan(asked), planner.plan(asked))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"thresholds": [1.0]}, "2 finite numbers in ascending order"),
        ({"thresholds": [3.0, 1.0]}, "2 finite numbers in ascending order"),
        ({"thresholds": [1.0, float("inf")]}, "2 finite numbers in ascending order"),
        ({"thresholds": None}, "2 finite numbers in ascending order"),
        ({"plans": [[0, 0]]}, "allowed is a list of 3 plans"),
        ({"plans": 3}, "allowed is a list of 3 plans"),
        ({"plans": [[0, 0], [1, 0], [0, 0]]}, "not on the menu"),
        ({"plans": [[0, 0], 5, [0, 0]]}, "allowed is a list of sends per channel"),
        ({"segments": 0}, "segments is 0; allowed is a whole number from 1"),
        ({"weeks": 2.0}, r"weeks is 2\.0; allowed is a whole number"),
        ({"policy_version": -1}, "policy_version is -1"),
        ({"colour": "red"}, "planner settings are .*colour"),
    ],
)
def test_a_state_that_is_not_allowed_is_refused_in_one_line(changes, message):
    planner = made_up([1.0, 3.0], [[14, 7], [2, 0], [0, 0]])
    with pytest.raises(ValueError, match=message) as raised:
        rebuilt(planner, small_world(), changes)
    assert "\n" not in str(raised.value)


def test_arrays_are_refused():
    planner = made_up([], [[0, 0]])
    with pytest.raises(ValueError, match="allowed: plans, shapes, thresholds"):
        SegmentsPlanner.from_state(
            small_world(), planner.settings, planner.state() | {"w": np.zeros(1)}
        )


def test_a_planner_that_has_not_learned_says_so():
    for use in (lambda: SegmentsPlanner().plan(viewers([1])), SegmentsPlanner().state):
        with pytest.raises(RuntimeError, match="call learn or load first"):
            use()


@pytest.mark.parametrize("seed", range(4))
def test_in_a_world_with_shapes_it_finds_plays_and_keeps_plans_with_their_shapes(seed):
    w = replace(world("shaped"), menu=((0, 5), (0, 1)))
    planner = SegmentsPlanner(**(SMALL | {"rounds": 2}), segments=2).learn(w, seed=seed)
    assert len(planner.shapes) == 2
    asked = requests(w, np.ones((60, 2), bool))
    played = planner.plan(asked)
    wanted = {w.plan_index(p, s) for p, s in zip(planner.wanted, planner.shapes, strict=True)}
    assert set(played) <= wanted
    again = SegmentsPlanner.from_state(w, planner.settings, planner.state())
    assert_array_equal(again.plan(asked), played)


def test_the_neighbours_of_a_plan_include_its_other_shapes():
    w = replace(world("shaped"), menu=((0, 2, 5), (0, 1)))
    middle = w.plan_index((2, 0))
    found = {int(plans[0]) for plans in neighbours(w, np.array([middle]))}
    others = {w.plan_index((2, 0), shape) for shape in w.shape_names[1:]}
    assert found == others | {w.plan_index(p) for p in ((0, 0), (5, 0), (2, 1))}


def test_a_segments_plan_keeps_the_shape_that_was_found_best():
    w = replace(world("shaped"), menu=((0, 2, 14), (0, 7)))
    chosen = [
        w.plan_index((2, 7), "weekend"),
        w.plan_index((2, 7)),
        w.plan_index((14, 0), "active"),
    ]
    plans, shapes = w.plans[chosen].tolist(), [w.shape_names[i] for i in w.plan_shapes[chosen]]
    state = {"thresholds": [1.0, 3.0], "plans": plans, "shapes": shapes}
    planner = SegmentsPlanner.from_state(w, SegmentsPlanner().settings, state)
    asked = requests(w, np.ones((200, 2), bool))
    assert set(planner.plan(asked).tolist()) == set(chosen)
    assert planner.state() == state
    with pytest.raises(ValueError, match=r"shape 'odd' is not on the menu; allowed: uniform"):
        SegmentsPlanner.from_state(w, planner.settings, state | {"shapes": ["odd"] * 3})
    with pytest.raises(ValueError, match="shapes is 3; allowed is a list of 3 names"):
        SegmentsPlanner.from_state(w, planner.settings, state | {"shapes": 3})
