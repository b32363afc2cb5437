"""The company's side of a world: what a log needs to be understood, and no hidden parameter."""

from collections.abc import Mapping
from typing import Any

from slowfast_rl.members.loading import as_world, world_from_tree
from slowfast_rl.members.parsing import tree_from_world
from slowfast_rl.members.world import World

#: Parts of a world file that a company decides or knows.
COMPANY_SIDE = (
    "channels", "num_topics", "num_candidates", "schedule", "menu", "safe_plan", "shapes",
    "launches", "reward",
)  # fmt: skip


def company_side(world: World) -> dict[str, Any]:
    """Return the company's side of a world, as nested mappings that JSON can hold."""
    tree = tree_from_world(world)
    return {name: tree[name] for name in COMPANY_SIDE}


def company_differences(world: World, other: World) -> list[str]:
    """Return the names of the company's parts in which two worlds differ."""
    ours, theirs = company_side(world), company_side(other)
    return [name for name in COMPANY_SIDE if ours[name] != theirs[name]]


def with_company_side(base: World | str, tree: Mapping[str, Any]) -> World:
    """Return a world with another company's side and the members' parameters of ``base``.

    Args:
        base: the world whose members' parameters are kept, or its name or file.
        tree: what :func:`company_side` returned.

    Raises:
        ValueError: a part is missing or not allowed, or the channels are not those of ``base``,
            whose members' parameters are one for each channel.
    """
    world = as_world(base)
    missing = [name for name in COMPANY_SIDE if name not in tree]
    if missing:
        raise ValueError(f"the company's side of the log's world lacks {', '.join(missing)}")
    channels = tree["channels"]
    if not isinstance(channels, list) or sorted(map(str, channels)) != sorted(world.channels):
        raise ValueError(
            f"the log has channels {channels} and base {world.name} has {list(world.channels)}; "
            "allowed is a base with the log's channels"
        )
    parts = {name: tree[name] for name in COMPANY_SIDE}
    return world_from_tree(tree_from_world(world) | parts, world.name)
