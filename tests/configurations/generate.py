"""World configurations over all parameters, drawn from a seed."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import Field, fields
from functools import cache
from typing import Any

import numpy as np

from slowfast_rl.members.loading import load_world, world_from_tree
from slowfast_rl.members.parameters import PerChannel, group_types
from slowfast_rl.members.parsing import tree_from_world
from slowfast_rl.members.world import World

Tree = dict[str, Any]
FLAT = [0] * 7
LAWS = ("lognormal", "logitnormal")
#: What no parameter may be.
NONSENSE: tuple[Any, ...] = (
    float("nan"), float("inf"), -float("inf"), 1e300, -1e300, 10**400, -(10**400), None, True,
    "much", [], [1.0], {}, {"push": 0.1, "fax": 0.2}, {"a": [[1]]},
)  # fmt: skip


def _slots(*times: tuple[str, str, list[int]]) -> list[Tree]:
    return [{"time": time, "channel": c, "weekdays": days} for time, c, days in times]


def _shape(
    channels: list[str], schedule: list[Tree], menu: dict[str, list[int]], **others: Any
) -> Tree:
    """What decides the sizes of a world's arrays; ``others`` replaces the rest."""
    safe = {channel: targets[min(1, len(targets) - 1)] for channel, targets in menu.items()}
    sizes = {"num_topics": 4, "num_candidates": 4, "safe_plan": safe, "shapes": {}}
    return {"channels": channels, "schedule": schedule, "menu": menu} | sizes | others


WEEK, PAIR = list(range(7)), ["push", "email"]
THREE_A_DAY = _slots(("08:00", "email", WEEK), ("12:30", "push", WEEK), ("19:30", "push", WEEK))
MENU = {"push": [0, 1, 3, 7, 14], "email": [0, 1, 7]}
MANY = [f"channel {c}" for c in range(16)]
#: Twelve worlds of different sizes, which generated parameters fill.
SHAPES: dict[str, Tree] = {
    "two channels": _shape(PAIR, THREE_A_DAY, MENU),
    "one slot a week": _shape(
        ["push"], _slots(("00:00", "push", [0])), {"push": [0, 1]}, num_topics=1, num_candidates=1
    ),
    "days without slots": _shape(
        PAIR, _slots(("09:00", "push", [2, 3]), ("23:59", "email", [3])), MENU
    ),
    "only on Sunday": _shape(PAIR, _slots(("00:00", "push", [6]), ("00:00", "email", [6])), MENU),
    "a channel without slots": _shape(
        ["push", "email", "in app"],
        _slots(("12:00", "push", WEEK), ("18:00", "email", [1, 4])),
        MENU | {"in app": [0, 2]},
    ),
    "sixteen channels": _shape(
        MANY,
        _slots(*((f"{c:02}:00", name, [c % 7]) for c, name in enumerate(MANY))),
        {name: [0, 1] if c < 6 else [0] for c, name in enumerate(MANY)},
    ),
    "127 slots on a day": _shape(
        PAIR,
        _slots(*((f"{m // 60:02}:{m % 60:02}", PAIR[m % 2], [5]) for m in range(127))),
        {"push": [0, 1, 100, 1000], "email": [0, 64]},
    ),
    "255 topics": _shape(PAIR, THREE_A_DAY, MENU, num_topics=255, num_candidates=3),
    "255 candidates": _shape(PAIR, THREE_A_DAY, MENU, num_topics=2, num_candidates=255),
    "steep shapes": _shape(
        PAIR,
        THREE_A_DAY,
        MENU,
        shapes={
            "steep": {"day": [20, -20, 20, -20, 0, 0, 0], "launch": 20, "activity": [20] * 7},
            "falling": {"day": FLAT, "launch": -20, "activity": [-20, 20, 0, 0, 0, 0, -20]},
            "flat": {},
        },
    ),
    "nothing to send": _shape(PAIR, THREE_A_DAY, {"push": [0], "email": [0]}),
    "targets beyond the slots": _shape(
        PAIR, THREE_A_DAY, {"push": [0, 15, 1000], "email": [0, 8, 999]}
    ),
}  # fmt: skip


def configuration(seed: int) -> Tree:
    """Return a configuration of the shape that follows from the seed.

    Most parameters are ordinary, at a bound or between the bounds. In every fourth configuration
    of a shape one parameter is nonsense or beyond its bounds.
    """
    rng = np.random.default_rng(seed)
    tree = deepcopy(list(SHAPES.values())[seed % len(SHAPES)])
    ordinary = load_world("pronounced")
    known = tree_from_world(ordinary)
    extreme = float(rng.choice([0.1, 0.5, 1.0]))  # share of parameters that are not ordinary
    for group, kind in group_types().items():
        tree[group] = {}
        for parameter in fields(kind):
            usual = known[group][parameter.name]
            tree[group][parameter.name] = _value(parameter, usual, tree, extreme, rng)
    _fit_together(tree, extreme, rng)
    if seed // len(SHAPES) % 4 == 3:
        _spoil(tree, rng)
    return tree


def _value(
    parameter: Field[Any], usual: Any, tree: Tree, extreme: float, rng: np.random.Generator
) -> Any:
    """Return a value of one parameter, within its bounds."""
    if "low" not in parameter.metadata:
        return str(rng.choice(LAWS))
    one = _number(parameter, rng)
    if parameter.type == PerChannel:
        common = rng.choice(list(usual.values())) if rng.random() >= extreme else one()
        if rng.random() < 0.5:
            return float(common)
        return {c: float(common if rng.random() >= extreme else one()) for c in tree["channels"]}
    if isinstance(usual, list):  # what must add up is made to fit later
        return usual
    return one() if rng.random() < extreme else usual


def _number(parameter: Field[Any], rng: np.random.Generator) -> Callable[[], float]:
    """Return a source of numbers at the bounds of a parameter and between them, small ones too."""
    low, high = parameter.metadata["low"], parameter.metadata["high"]
    smallest = np.nextafter(low, high) if parameter.metadata["above"] else low

    def number() -> float:
        kind = rng.integers(6)
        if kind == 0:
            return float(smallest)
        if kind == 1:
            return float(high)
        if kind == 2:
            return float(np.nextafter(high, low))
        if kind == 3:
            return float(np.clip(0, smallest, high))
        if kind == 4:  # of any size
            size = 10 ** rng.uniform(-30, np.log10(max(abs(low), abs(high))))
            return float(np.clip(size * rng.choice([-1, 1]), smallest, high))
        return float(rng.uniform(smallest, high))

    return number


def _fit_together(tree: Tree, extreme: float, rng: np.random.Generator) -> None:
    """Make the parameters that are checked together fit together."""
    traits, churn = tree["traits"], tree["churn"]
    low, high = sorted((traits["base_rate_low"], traits["base_rate_high"]))
    traits |= {"base_rate_low": low, "base_rate_high": high or 1.0}
    churn["scale"] = min(churn["scale"], 1 - churn["floor"])
    if rng.random() < extreme:
        effect = rng.uniform(-10, 10, 7)
        tree["organic"]["weekday_effect"] = (effect - effect.mean()).tolist()
    if rng.random() < extreme / 2:
        count = int(rng.integers(1, 20))
        shares = rng.multinomial(10, np.full(count, 1 / count)) / 10
        values = rng.choice([0, 1e-30, 0.2, 5, 1000], count)
        traits["fatigue_sensitivity_values"] = values.tolist()
        traits["fatigue_sensitivity_shares"] = shares.tolist()


def _spoil(tree: Tree, rng: np.random.Generator) -> None:
    """Make one parameter, or one number per channel of it, nonsense or just beyond its bounds."""
    groups = group_types()
    group = str(rng.choice(list(groups)))
    parameter = fields(groups[group])[int(rng.integers(len(fields(groups[group]))))]
    bad = NONSENSE[int(rng.integers(len(NONSENSE)))]
    if "low" in parameter.metadata and rng.random() < 0.5:
        low, high = parameter.metadata["low"], parameter.metadata["high"]
        bad = float(rng.choice([np.nextafter(low, -np.inf), np.nextafter(high, np.inf)]))
    values = tree[group]
    if isinstance(values[parameter.name], dict) and rng.random() < 0.5:
        values[parameter.name][str(rng.choice(tree["channels"]))] = bad
    elif isinstance(values[parameter.name], list) and values[parameter.name]:
        values[parameter.name][0] = bad
    else:
        values[parameter.name] = bad


@cache
def generated(shape: str) -> World:
    """Return the first generated world of a shape that is not refused."""
    for seed in range(list(SHAPES).index(shape), 10_000, len(SHAPES)):
        try:
            return world_from_tree(configuration(seed), shape)
        except ValueError:
            continue
    raise AssertionError
