"""World files: what comes with the library loads, what is wrong is named in one line."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from slowfast_rl.members.loading import (
    config_folder,
    load_world,
    world_from_tree,
    world_hash,
    world_names,
)
from slowfast_rl.members.world import Slot
from tests.members.worlds import IN_APP_FILE

Tree = dict[str, Any]
PRONOUNCED = config_folder() / "world" / "pronounced.yaml"


def tree() -> Tree:
    """The pronounced world as its file has it, fresh."""
    loaded: Tree = yaml.safe_load(PRONOUNCED.read_text())
    return loaded


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
    assert world.channels == ("push", "email")
    assert world.slots_per_week == 21


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


Change = Callable[[Tree], Any]


def put(*path: Any) -> Change:
    """Set the value at the path's end."""
    *parents, last, value = path

    def change(world: Tree) -> None:
        level: Any = world
        for part in parents:
            level = level[part]
        level[last] = value

    return change


def drop(*path: Any) -> Change:
    """Remove the key at the path's end."""

    def change(world: Tree) -> None:
        level: Any = world
        for part in path[:-1]:
            level = level[part]
        del level[path[-1]]

    return change


MISTAKES: dict[str, tuple[Change, str]] = {
    "negative rate": (
        put("opt_out", "hazard", {"push": -0.1, "email": 0}),
        r"opt_out.hazard is -0.1; allowed is \[0, inf\]",
    ),
    "negative days": (
        put("fatigue", "goodwill_days", -3),
        r"fatigue.goodwill_days is -3; allowed is \[1, inf\]",
    ),
    "zero half-life": (
        put("launches", "half_life_days", 0),
        r"launches.half_life_days is 0; allowed is \(0, inf\]",
    ),
    "probability above 1": (
        put("response", "wear", 1.5),
        r"response.wear is 1.5; allowed is \[0, 1\]",
    ),
    "one channel's probability above 1": (
        put("traits", "opt_in", {"push": 0.5, "email": 1.01}),
        r"traits.opt_in is 1.01; allowed is \[0, 1\]",
    ),
    "not a number": (put("churn", "floor", "5e-4"), "churn.floor is '5e-4'; a finite number"),
    "infinite": (put("churn", "habit_rate", float("inf")), "churn.habit_rate is inf; a finite"),
    "nan": (put("churn", "habit_rate", float("nan")), "churn.habit_rate is nan; a finite"),
    "true": (put("churn", "habit_rate", True), "churn.habit_rate is True; a finite number"),
    "nothing": (put("churn", "habit_rate", None), "churn.habit_rate is None; a finite number"),
    "a list for a number": (
        put("response", "wear", [0.1, 0.2]),
        r"response.wear is \[0.1, 0.2\]; one number",
    ),
    "channels for a number": (
        put("response", "wear", {"push": 0.1, "email": 0.2}),
        "response.wear is .*push.*; one number is needed",
    ),
    "a number for a list": (
        put("organic", "weekday_effect", 0),
        "organic.weekday_effect is 0; a list of numbers",
    ),
    "a text in a list": (
        put("organic", "weekday_effect", [0, 0, 0, 0, 0, 0, "x"]),
        "organic.weekday_effect is 'x'; a finite number",
    ),
    "a list for channels": (
        put("opt_out", "hazard", [0.1, 0.2]),
        r"opt_out.hazard is \[0.1, 0.2\]; one number, or one per channel",
    ),
    "missing channel": (
        put("opt_out", "hazard", {"push": 0.1}),
        r"opt_out.hazard has \['push'\]; one value per channel \['push', 'email'\]",
    ),
    "unknown channel": (
        put("opt_out", "hazard", {"push": 0.1, "email": 0.1, False: 0.1}),
        r"opt_out.hazard has \['push', 'email', False\]; one value per channel",
    ),
    "unknown parameter": (
        put("churn", "flor", 0.1),
        "unknown parameter 'flor' in churn; allowed: floor, scale, habit_rate",
    ),
    "unknown group": (put("chrun", {}), "unknown parameter 'chrun' in world; allowed: channels"),
    "missing parameter": (drop("churn", "floor"), "churn lacks 'floor'; needed: floor, scale"),
    "missing group": (drop("churn"), "world lacks 'churn'; needed: channels"),
    "no group": (put("churn", 3), "churn is 3; a mapping with floor, scale, habit_rate"),
    "unknown law": (
        put("traits", "base_rate_law", "beta"),
        "traits.base_rate_law is 'beta'; allowed: lognormal, logitnormal",
    ),
    "law of the wrong type": (
        put("traits", "base_rate_law", [1]),
        r"traits.base_rate_law is \[1\]; allowed: lognormal, logitnormal",
    ),
    "bounds crossed": (
        put("traits", "base_rate_low", 0.95),
        "traits.base_rate_low is 0.95; allowed is at most base_rate_high = 0.9",
    ),
    "six weekdays": (
        put("organic", "weekday_effect", [0] * 6),
        "organic.weekday_effect is .*; seven numbers adding up to 0",
    ),
    "weekdays that shift the level": (
        put("organic", "weekday_effect", [0.1] * 7),
        "organic.weekday_effect is .*; seven numbers adding up to 0",
    ),
    "values without shares": (
        put("traits", "fatigue_sensitivity_values", [1, 2]),
        r"traits.fatigue_sensitivity_shares is \(\); one per value",
    ),
    "shares beyond 1": (
        lambda world: world["traits"].update(
            fatigue_sensitivity_values=[1, 2], fatigue_sensitivity_shares=[0.6, 0.6]
        ),
        r"traits.fatigue_sensitivity_shares is \(0.6, 0.6\); they must add up to 1",
    ),
    "no topics": (put("num_topics", 0), "num_topics is 0; allowed is 1 to 255"),
    "half a candidate": (put("num_candidates", 2.5), "num_candidates has 2.5; a whole number"),
    "no channels": (put("channels", []), r"channels is \[\]; a list of names, each once"),
    "a channel twice": (
        put("channels", ["push", "push"]),
        "channels is .*; a list of names, each once",
    ),
    "a text for channels": (put("channels", "push"), "channels is 'push'; a list of names"),
    "a number for a channel": (put("channels", [1, 2]), r"channels is \[1, 2\]; a list of names"),
    "channels missing": (put("channels", None), "channels is None; a list of names"),
    "menu without 0": (
        put("menu", "push", [1, 2]),
        r"menu.push is \(1, 2\); rising whole numbers that start at 0",
    ),
    "menu below 0": (
        put("menu", "push", [-1, 0, 2]),
        r"menu.push is \(-1, 0, 2\); rising whole numbers that start at 0",
    ),
    "menu not rising": (
        put("menu", "email", [0, 2, 2]),
        r"menu.email is \(0, 2, 2\); rising whole numbers that start at 0",
    ),
    "menu of halves": (put("menu", "push", [0, 1.5]), "menu.push has 1.5; a whole number"),
    "menu of a number": (put("menu", "push", 3), "menu.push is 3; a list of whole numbers"),
    "negative safe plan": (
        put("safe_plan", {"push": 1, "email": -1}),
        "safe_plan.email is -1; 0 or more",
    ),
    "no slots": (put("schedule", []), "schedule is empty; at least one slot"),
    "schedule of a number": (put("schedule", 3), "schedule is 3; a list of slots"),
    "slot of a text": (put("schedule", 0, "08:00"), "schedule has '08:00'; a slot is a mapping"),
    "slot's unknown key": (
        put("schedule", 0, {"time": "08:00", "channel": "push", "weekday": 3}),
        "unknown parameter 'weekday' in schedule; allowed: time, channel, weekdays",
    ),
    "slot's unknown channel": (
        put("schedule", 0, "channel", "sms"),
        r"schedule names channel 'sms'; allowed: push, email",
    ),
    "slot without time": (drop("schedule", 0, "time"), "schedule has .*; a time such as '08:00'"),
    "time not quoted": (put("schedule", 0, "time", 750), "schedule has .*750.*a time such as"),
    "time past midnight": (
        put("schedule", 0, "time", "24:00"),
        "schedule has time '24:00'; allowed is 00:00 to 23:59",
    ),
    "weekday 7": (
        put("schedule", 0, "weekdays", [0, 7]),
        "schedule has weekday 7; allowed is 0 to 6",
    ),
    "weekday by name": (
        put("schedule", 0, "weekdays", ["Mon"]),
        "schedule has weekday 'Mon'; allowed is 0 to 6",
    ),
    "weekdays of a number": (
        put("schedule", 0, "weekdays", 3),
        "schedule has weekdays 3; a list of 0 to 6",
    ),
    "too many slots a day": (
        put("schedule", [{"time": "08:00", "channel": "push"}] * 128),
        "schedule has 128 slots on weekday 0; allowed is at most 127",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_in_one_line_with_what_is_allowed(mistake: str) -> None:
    change, message = MISTAKES[mistake]
    world = tree()
    change(world)
    with pytest.raises(ValueError, match=message) as raised:
        world_from_tree(world, "mistaken")
    assert "\n" not in str(raised.value)


def test_the_unchanged_tree_has_no_mistake() -> None:
    assert world_from_tree(tree(), "pronounced") == load_world("pronounced")


@given(
    st.sampled_from(
        [
            (group, name)
            for group, values in tree().items()
            if group
            in (
                "organic",
                "launches",
                "response",
                "fatigue",
                "opt_out",
                "churn",
                "dismissal",
                "reward",
            )
            for name in values
        ]
    ),
    st.one_of(
        st.none(),
        st.text(max_size=3),
        st.floats(),
        st.integers(-3, 3),
        st.lists(st.floats(), max_size=8),
        st.dictionaries(st.sampled_from(["push", "email", "sms"]), st.floats()),
    ),
)
def test_any_value_gives_a_world_or_a_value_error(where: tuple[str, str], value: Any) -> None:
    changed = tree()
    changed[where[0]][where[1]] = value
    try:
        world = world_from_tree(changed, "changed")
    except ValueError as error:
        refused = str(error)
    else:
        kept = getattr(getattr(world, where[0]), where[1])
        assert kept == value or isinstance(kept, tuple)
        return
    assert where[1] in refused
    assert "\n" not in refused


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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("- 1", "holds list; a mapping is needed"),
        ("a: [", "is not YAML"),
        ("base: atlantis", "unknown world 'atlantis'"),
        ("base: [pronounced]", r"base is \['pronounced'\]; the name or path of a world"),
        ("base: pronounced\nchurn: {flor: 1}", "unknown parameter 'flor' in churn"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(content)
    with pytest.raises(ValueError, match=message) as raised:
        load_world(path)
    assert "\n" not in str(raised.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"gone.yaml' cannot be read: No such file"):
        load_world(tmp_path / "gone.yaml")


def test_files_that_are_each_others_base_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"base: {tmp_path}/b.yaml")
    (tmp_path / "b.yaml").write_text(f"base: {tmp_path}/a.yaml")
    with pytest.raises(ValueError, match=r"a.yaml' is its own base"):
        load_world(tmp_path / "a.yaml")


def test_a_users_file_builds_on_a_users_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("base: calibrated\nreward: {churn: 3}")
    (tmp_path / "b.yaml").write_text(f"base: {tmp_path}/a.yaml\nreward: {{opt_out: 2}}")
    world = load_world(tmp_path / "b.yaml")
    assert world.name == "b"
    assert (world.reward.churn, world.reward.opt_out, world.reward.message_cost) == (3, 2, 0.0005)
