"""The library's worlds load, by name and with overrides, and hash by what they hold."""

import re
from dataclasses import replace

import pytest

from slowfast_rl.members.loading import config_folder, load_world, world_hash, world_names
from slowfast_rl.members.world import Slot
from tests.members.worlds import IN_APP_FILE


def test_the_library_brings_its_worlds() -> None:
    assert set(world_names()) >= {
        "pronounced",
        "calibrated",
        "null",
        "no_fatigue",
        "costly",
        "homogeneous",
        "two_type",
    }


@pytest.mark.parametrize("name", world_names())
def test_every_world_of_the_library_loads(name: str) -> None:
    world = load_world(name)
    assert world.name == name
    assert world.channels == (("hero", "row") if name == "homepage" else ("push", "email"))
    assert world.slots_per_week == 21


def test_every_number_of_the_homepage_world_says_where_it_comes_from() -> None:
    lines = (config_folder() / "world" / "homepage.yaml").read_text().splitlines()
    numbers = [line for line in lines if re.match(r"  \w+: .*\d", line)]
    assert len(numbers) > 50
    for line in numbers:
        meaning = line.partition("#")[2]
        assert re.search("assumed|calibrated|likewise|Runyon|not clipped|the unit", meaning), line


def test_the_worlds_of_the_library_differ() -> None:
    assert len({world_hash(load_world(name)) for name in world_names()}) == len(world_names())


def test_the_default_schedule_has_three_slots_a_day_in_order() -> None:
    hours = [8 * 3600, 12 * 3600 + 1800, 19 * 3600 + 1800]
    assert load_world().schedule == tuple(
        Slot(day, second, channel)
        for day in range(7)
        for second, channel in zip(hours, (1, 0, 0), strict=True)
    )


def test_the_default_menu_has_63_plans_and_finds_each() -> None:
    world = load_world()
    plans = world.plans
    assert plans.shape == (63, 2)
    assert [world.plan_index(tuple(plan)) for plan in plans] == list(range(63))
    assert world.plan_index({"email": 2, "push": 3}) == world.plan_index((3, 2))


def test_a_plan_off_the_menu_is_refused() -> None:
    with pytest.raises(ValueError, match=r"plan \(6, 0\) is not on the menu; allowed: .*push"):
        load_world().plan_index((6, 0))


def test_a_file_says_only_what_differs_from_its_base() -> None:
    calibrated, pronounced = load_world("calibrated"), load_world("pronounced")
    assert calibrated.churn.habit_rate == 2.2
    assert calibrated.response.wear == pronounced.response.wear == 0.3
    assert calibrated.schedule == pronounced.schedule


def test_an_in_app_channel_is_added_by_a_world_file_alone() -> None:
    world = load_world(IN_APP_FILE)
    assert world.channels == ("push", "email", "in_app")
    assert world.response.tap == (0.08, 0.03, 0.3)
    assert (world.num_topics, world.num_candidates) == (5, 6)
    assert [s.weekday for s in world.schedule] == [1, 1, 1, 1, 2, 3, 3, 4, 4, 6]
    assert [s.channel for s in world.schedule] == [2, 0, 1, 2, 0, 2, 2, 0, 1, 2]
    assert world.plans.shape == (9 * 7 * 3, 3)


def test_one_number_serves_all_channels() -> None:
    assert load_world("pronounced", {"opt_out.hazard": 0.25}).opt_out.hazard == (0.25, 0.25)


def test_an_override_changes_one_value_alone() -> None:
    changed = load_world("pronounced", {"fatigue.decay_days.email": 3, "launches.per_week": 2})
    original = load_world("pronounced")
    assert changed.fatigue.decay_days == (15, 3)
    assert changed.launches.per_week == 2
    assert replace(changed, fatigue=original.fatigue, launches=original.launches) == original


def test_whole_numbers_and_fractions_that_are_equal_give_one_hash() -> None:
    whole = load_world("pronounced", {"reward.churn": 5, "opt_out.hazard": 0})
    fraction = load_world("pronounced", {"reward.churn": 5.0, "opt_out.hazard": 0.0})
    assert whole == fraction
    assert world_hash(whole) == world_hash(fraction)


def test_the_hash_sees_every_parameter_but_not_the_name() -> None:
    world = load_world()
    assert world_hash(replace(world, name="other")) == world_hash(world)
    assert world_hash(load_world("pronounced", {"reward.churn": 5.5})) != world_hash(world)
    assert world_hash(replace(world, safe_plan=(1, 0))) != world_hash(world)


def test_an_unknown_world_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown world 'atlantis'; allowed: calibrated, costly"):
        load_world("atlantis")


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("opt_out.hazzard", "unknown world parameter 'opt_out.hazzard'; allowed: hazard"),
        ("optout.hazard", "unknown world parameter 'optout.hazard'; groups: traits, organic"),
        ("churn.floor.x", "unknown world parameter 'churn.floor.x'; groups: "),
        ("nonsense", "unknown world parameter 'nonsense'; allowed: channels"),
    ],
)
def test_an_unknown_override_is_refused(key: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_world("pronounced", {key: 1})
