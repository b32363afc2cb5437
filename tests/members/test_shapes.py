"""Pacing shapes in a world: read, written, and multiplied with the menu."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from slowfast_rl.members.loading import load_world, world_from_tree, world_hash
from slowfast_rl.members.parsing import tree_from_world
from slowfast_rl.members.shapes import Shape
from tests.members.worlds import world


def test_a_shape_says_only_what_is_not_0() -> None:
    weekend, launches, active = world("shaped").shapes
    assert weekend == Shape(
        name="weekend", day=(0, 0, 0, 0, 0.7, 0.7, 0.7), launch=0, activity=(0,) * 7
    )
    assert launches == Shape(name="launches", day=(0,) * 7, launch=1, activity=(0,) * 7)
    assert active.activity == (0.5, 0.5, 0, 0, 0, 0, -0.5)


def test_plans_are_the_product_of_the_menu_and_the_shapes() -> None:
    w, plain = world("shaped"), world("pronounced")
    assert w.plans.shape == (4 * 63, 2)
    assert_array_equal(w.plans, np.tile(plain.plans, (4, 1)))
    assert_array_equal(w.plan_shapes, np.repeat([0, 1, 2, 3], 63))
    assert_array_equal(plain.plan_shapes, np.zeros(63))
    assert w.shape_names == ("uniform", "weekend", "launches", "active")


def test_every_plan_is_found_by_its_targets_and_its_shape() -> None:
    w = world("shaped")
    for i in range(0, len(w.plans), 11):
        assert w.plan_index(tuple(w.plans[i]), w.shape_names[w.plan_shapes[i]]) == i
    assert w.plan_index((5, 2)) == world("pronounced").plan_index((5, 2))
    with pytest.raises(ValueError, match="shape 'odd' is not on the menu; allowed: uniform, week"):
        w.plan_index((5, 2), "odd")


def test_a_world_comes_back_from_its_tree_with_its_shapes() -> None:
    w = world("shaped")
    assert world_from_tree(tree_from_world(w), w.name) == w


def test_a_tree_without_shapes_is_a_world_with_the_uniform_shape_alone() -> None:
    tree = tree_from_world(world("pronounced"))
    del tree["shapes"]
    assert world_from_tree(tree, "pronounced") == world("pronounced")


def test_the_hash_sees_shapes_and_is_what_it_was_without_them() -> None:
    plain, shaped = world("pronounced"), world("shaped")
    assert world_hash(plain) == "42660237877119ae"
    assert world_hash(shaped) != world_hash(plain)
    assert world_hash(replace(shaped, shapes=())) == world_hash(plain)
    assert world_hash(replace(shaped, shapes=shaped.shapes[::-1])) != world_hash(shaped)


def test_overrides_add_shapes_to_a_world_that_has_some() -> None:
    more = load_world("pronounced", {"shapes": {"a": {"launch": 1}}})
    assert more.shape_names == ("uniform", "a")


def test_a_shape_named_twice_is_refused() -> None:
    w = world("shaped")
    with pytest.raises(ValueError, match=r"shapes is .*weekend.*; each name must be given once"):
        replace(w, shapes=w.shapes[:1] * 2)
