"""Worlds that only tests use."""

from functools import cache
from pathlib import Path

from slowfast_rl.members.loading import load_world
from slowfast_rl.members.world import World

IN_APP_FILE = Path(__file__).with_name("in_app.yaml")


@cache
def world(name: str) -> World:
    """A world of the library, or one of this page's by its name."""
    if name == "in_app":
        return load_world(IN_APP_FILE)
    if name == "eventful":
        return load_world("pronounced", EVENTFUL)
    if name == "deathless":
        return load_world("pronounced", {"churn.floor": 0, "churn.scale": 0})
    if name == "shaped":
        return load_world("pronounced", {"shapes": SHAPES})
    return load_world(name)


# Each instance of the shape mechanism.
SHAPES = {
    "weekend": {"day": [0, 0, 0, 0, 0.7, 0.7, 0.7]},
    "launches": {"launch": 1},
    "active": {"activity": [0.5, 0.5, 0, 0, 0, 0, -0.5]},
}

# Rare events made frequent, so that a short life meets all of them.
EVENTFUL = {
    "opt_out.hazard": 0.08,
    "opt_out.return_rate": 0.3,
    "churn.floor": 0.02,
    "churn.scale": 0.1,
    "fatigue.ceiling": 6,
    "fatigue.goodwill_loss": 0.05,
    "traits.responsiveness": 0.4,
    "response.tap": 0.5,
}
