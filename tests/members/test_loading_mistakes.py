"""What is wrong in a world's parameters is named in one line, with what is allowed."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from slowfast_rl.members.loading import config_folder, load_world, world_from_tree
from slowfast_rl.members.world import Slot

Tree = dict[str, Any]
PRONOUNCED = config_folder() / "world" / "pronounced.yaml"


def tree() -> Tree:
    """The pronounced world as its file has it, fresh."""
    loaded: Tree = yaml.safe_load(PRONOUNCED.read_text())
    return loaded


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
        put("response", "lapsed_rate", -0.1),
        r"response.lapsed_rate is -0.1; allowed is \[0, 1000\]",
    ),
    "hazard above 1": (
        put("opt_out", "hazard", {"push": 1.5, "email": 0}),
        r"opt_out.hazard is 1.5; allowed is \[0, 1\]",
    ),
    "empty menu": (put("menu", "push", []), r"menu.push is \(\); rising whole numbers"),
    "negative days": (
        put("fatigue", "goodwill_days", -3),
        r"fatigue.goodwill_days is -3; allowed is \[1, 100000\]",
    ),
    "zero half-life": (
        put("launches", "half_life_days", 0),
        r"launches.half_life_days is 0; allowed is \[0.01, 100000\]",
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
    "missing group": (drop("churn"), "lacks churn; a file that gives only what differs"),
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
        r"traits.fatigue_sensitivity_shares is \(\); one share per value",
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
        "safe_plan.email is -1; allowed is 0 to 1000",
    ),
    "shapes of a list": (put("shapes", ["weekend"]), "shapes is .*; a mapping of names to shapes"),
    "a shape of a number": (put("shapes", {"odd": 3}), "shapes.odd is 3; a mapping with day"),
    "a shape's unknown key": (
        put("shapes", {"odd": {"days": [0] * 7}}),
        "unknown parameter 'days' in shapes.odd; allowed: day, launch, activity",
    ),
    "a shape of six days": (
        put("shapes", {"odd": {"day": [0] * 6}}),
        "shapes.odd.day is .*; seven numbers are needed",
    ),
    "a shape's activity of eight days": (
        put("shapes", {"odd": {"activity": [0] * 8}}),
        "shapes.odd.activity is .*; seven numbers are needed",
    ),
    "a number for a shape's days": (
        put("shapes", {"odd": {"day": 1}}),
        "shapes.odd.day is 1; a list of seven numbers",
    ),
    "a shape beyond its bounds": (
        put("shapes", {"odd": {"launch": 21}}),
        r"shapes.odd.launch is 21; allowed is \[-20, 20\]",
    ),
    "a text in a shape": (
        put("shapes", {"odd": {"launch": "much"}}),
        "shapes.odd.launch is 'much'; a finite number",
    ),
    "the uniform shape again": (
        put("shapes", {"uniform": {}}),
        "shapes has 'uniform'; a name other than 'uniform'",
    ),
    "a shape named by a number": (put("shapes", {1: {}}), "shapes has 1; a name other than"),
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
    "a launch that never fades": (
        put("launches", "half_life_days", 1e20),
        r"launches.half_life_days is 1e\+20; allowed is \[0.01, 100000\]",
    ),
    "a base rate without a logarithm": (
        put("traits", "base_rate_location", -1000),
        r"traits.base_rate_location is -1000; allowed is \[-20, 20\]",
    ),
    "a spread beyond the largest number": (
        put("traits", "fatigue_sensitivity_spread", 100),
        r"traits.fatigue_sensitivity_spread is 100; allowed is \[0, 5\]",
    ),
    "a number that no float can hold": (
        put("reward", "churn", 10**400),
        "reward.churn is 1000.*000; a finite number is needed",
    ),
    "a number that Python does not write": (
        put("reward", "churn", 10**5000),
        "reward.churn is a number of thousands of digits; a finite number",
    ),
    "churn of more than everybody": (
        put("churn", {"floor": 0.6, "scale": 0.5, "habit_rate": 1}),
        "churn.scale is 0.5; allowed is at most 1 - floor = 0.4",
    ),
    "seventeen channels": (
        put("channels", [f"c{i}" for i in range(17)]),
        "channels has 17 names; allowed is at most 16",
    ),
    "a channel named by a book": (
        put("channels", ["push", "e" * 10**6]),
        "channels has 'eee.*eee'; allowed is a name of 1 to 64 printable characters",
    ),
    "a channel of two lines": (
        put("channels", ["push", "e\nmail"]),
        "channels has 'e.nmail'; allowed is a name of 1 to 64",
    ),
    "a channel without a name": (put("channels", ["push", ""]), "channels has ''; allowed is a"),
    "a menu of millions of plans": (
        put("menu", {"push": list(range(1001)), "email": list(range(1001))}),
        "menu has 1002001 plans, with all shapes; allowed is at most 10000",
    ),
    "a menu of more sends than a week has slots": (
        put("menu", "push", [0, 1001]),
        "menu.push is 1001; allowed is 0 to 1000",
    ),
    "a safe plan beyond the store's numbers": (
        put("safe_plan", {"push": 2**31, "email": 1}),
        "safe_plan.push is 2147483648; allowed is 0 to 1000",
    ),
    "a time in words": (put("schedule", 0, "time", " 8:+5"), "schedule has .*a time such as"),
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
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize("path", [("churn",), ("menu", "push"), ("schedule",), ("shapes",)])
def test_of_a_huge_value_a_message_quotes_a_line(path: tuple[str, ...]) -> None:
    bomb: Any = ["x" * 1000] * 1000
    for _ in range(40):  # written out, 10^46 values
        bomb = [bomb] * 10
    world = tree()
    put(*path, bomb)(world)
    with pytest.raises(ValueError, match=r"needed|a slot is") as raised:
        world_from_tree(world, "huge")
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize(
    ("slots", "message"),
    [
        ([Slot(9, 0, 0)], "schedule's weekday is 9; allowed is 0 to 6"),
        ([Slot(0, 86_400, 0)], "schedule's second is 86400; allowed is 0 to 86399"),
        ([Slot(0, 0, 2)], "schedule's channel is 2; allowed is 0 to 1"),
        ([Slot(1, 0, 0), Slot(0, 0, 0)], "schedule is not in order of time"),
    ],
)
def test_slots_that_kernels_could_not_index_are_refused(slots: list[Slot], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(load_world("pronounced"), schedule=tuple(slots))


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
