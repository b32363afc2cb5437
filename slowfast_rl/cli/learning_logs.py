"""The log that slowfast-train learns from, and the experiments that can."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from slowfast_rl.agents import Agent
from slowfast_rl.cli.app import settings_of
from slowfast_rl.members.loading import world_hash
from slowfast_rl.members.world import World

if TYPE_CHECKING:
    from slowfast_rl.logs.reading import EventLog


MakeAgent = Callable[[Mapping[str, Any]], Agent]


def log_for(folder: str, world: World, agent: Agent, make: MakeAgent) -> "EventLog":
    """Return the log in a folder, for an agent that learns from it and is evaluated in a world.

    Args:
        folder: the folder.
        world: the world of the evaluation.
        agent: the agent.
        make: makes the agent of an experiment from its settings, to say which ones can learn.

    Raises:
        ValueError: something in the agent learns and cannot learn from a log, the folder is no log,
            or the log's channels, menu or other parts that a company decides are not the world's.
    """
    from slowfast_rl.logs.company import company_differences
    from slowfast_rl.logs.reading import EventLog

    try:
        agent.check_log_learner()
    except ValueError as error:
        shown = ", ".join(experiments(make)) or "none"
        raise ValueError(f"{error}; experiments that can: {shown}") from error
    log = EventLog(folder, world)
    if world_hash(log.world) != world_hash(world):
        different = ", ".join(company_differences(world, log.world))
        raise ValueError(
            f"log {folder} and world {world.name} differ in {different}; allowed is a world with "
            "the log's, such as one of world_overrides"
        )
    return log


def experiments(make: MakeAgent) -> list[str]:
    """Return the names of the experiments that can learn from a log; none without hydra.

    Args:
        make: makes the agent of an experiment from its settings.
    """
    if not GlobalHydra.instance().is_initialized():
        return []
    hydra = GlobalHydra.instance().hydra
    assert hydra is not None
    found = []
    for option in hydra.config_loader.get_group_options("experiment"):
        lines = [f"experiment={option}"]
        try:
            config = hydra.compose_config(
                "train", lines, run_mode=RunMode.RUN, with_log_configuration=False
            )
            make(settings_of(config)).check_log_learner()
        except (ValueError, ImportError):  # this one cannot, or not with what the command line says
            continue
        found.append(option)
    return found
