"""Load trained agents from what commands are given: a run directory, or an agent's zip."""

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from slowfast_rl.agents import Agent
from slowfast_rl.cli.results import say
from slowfast_rl.members.world import World

A = TypeVar("A", bound=Agent)
FINAL, LATEST = "final.zip", "latest.zip"  # of a run: at its end, at its last evaluation


def load_agent(
    checkpoint: str, world: World | None, device: str, allow: Iterable[str], kind: type[A]
) -> A:
    """Load a trained agent.

    Args:
        checkpoint: a run directory, or an agent's directory or zip.
        world: the world that the agent must have been trained in; None for any.
        device: the device of its networks.
        allow: import paths of the user's own classes that the checkpoint may name.
        kind: ``Agent`` for any agent, ``SlowFastAgent`` for one with a planner.

    Raises:
        ValueError: there is no agent, it was trained in another world, or it names a class that is
            not allowed.
    """
    agent = kind.load(checkpoint_file(Path(checkpoint)), device=device, allow=tuple(allow))
    if world is not None and agent.world != world:
        name = agent.world.name if agent.world else "no world"
        raise ValueError(
            f"{checkpoint} was trained in world {name!r} with parameters of its own; "
            f"allowed is the world of this command, {world.name!r}, which world= or world_file= "
            "changes"
        )
    return agent


def say_source(checkpoint: str) -> None:
    """Say which file a checkpoint is; one of a run that has not ended is worth a warning."""
    path = checkpoint_file(Path(checkpoint))
    if path.name == LATEST and path.parent.name == "checkpoints":
        say(f"warning: {checkpoint} has not ended; its last evaluation's agent is taken, {path}")
    else:
        say(f"The agent of {checkpoint} is {path}")


def checkpoint_file(path: Path) -> Path:
    """Return the file of a run directory's agent, or the path itself if it is an agent.

    Raises:
        ValueError: there is no agent.
    """
    places = (path / "checkpoints" / FINAL, path / "checkpoints" / LATEST)
    for place in places:
        if place.is_file():
            return place
    if (path / "agent.json").is_file() or (path.suffix == ".zip" and path.is_file()):
        return path
    if not path.exists():
        raise ValueError(
            f"checkpoint {str(path)!r} does not exist; allowed is a run directory or a zip"
        )
    raise ValueError(
        f"checkpoint {str(path)!r} holds no agent; allowed is a run directory or a zip"
    )
