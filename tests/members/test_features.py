"""The table of features: its bounds, and what is kept of it per world."""

from dataclasses import replace

import numpy as np
import pytest

from slowfast_rl.members.features import bounds, opportunity_features, per_world, weekly_features
from slowfast_rl.members.observations import (
    opportunity_observation,
    privileged_observation,
    weekly_observation,
)
from slowfast_rl.members.population import Population
from slowfast_rl.members.world import World
from tests.members.worlds import world


def test_equal_worlds_have_equal_tables_and_each_world_one_table() -> None:
    one, twin = world("in_app"), replace(world("in_app"))
    assert weekly_features(one) == weekly_features(twin)
    assert weekly_features(one) is weekly_features(one)
    assert opportunity_features(one) is not opportunity_features(twin)


def test_what_is_kept_per_world_is_made_once_and_not_for_ever() -> None:
    made = []

    @per_world
    def name(world: World) -> str:
        made.append(world)
        return world.name

    worlds = [replace(world("pronounced"), name=str(i)) for i in range(70)]
    assert [name(w) for w in worlds for _ in range(2)] == [str(i // 2) for i in range(140)]
    assert made == worlds
    assert name(worlds[0]) == "0"
    assert len(made) == 71


def test_a_channel_without_slots_has_bounds_that_a_box_can_take() -> None:
    w = world("pronounced")
    quiet = replace(w, schedule=tuple(s for s in w.schedule if s.channel == 0))
    low, high = bounds(weekly_features(quiet) + opportunity_features(quiet))
    assert low.dtype == np.float32
    assert (low < high).all()


@pytest.mark.parametrize("shape", [(3, 2), (4, 3), (4,)])
def test_targets_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    p = Population(world("pronounced"), 4)
    with pytest.raises(ValueError, match=r"targets have shape .*; allowed is \(4, 2\)"):
        opportunity_observation(p, np.zeros(shape, np.int32))


def test_privileged_signals_may_be_appended() -> None:
    p = Population(world("in_app"), 20, luck_seed=1)
    p.step(np.ones(20, np.int64))
    for observations in (weekly_observation, opportunity_observation):
        expected = np.concatenate([observations(p), privileged_observation(p)], axis=1)
        assert np.array_equal(observations(p, privileged=True), expected)
