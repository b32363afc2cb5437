"""The policies that commands on logs are given: agents, and plans by name."""

import re
from collections.abc import Sequence
from pathlib import Path

from slowfast_rl.agents import Agent
from slowfast_rl.cli.checkpoints import load_agent
from slowfast_rl.logs.company import company_differences
from slowfast_rl.members.world import World
from slowfast_rl.slow import FixedPlanner

_PLAN = re.compile(r"\d+(\+\d+)*")


def check_each_once(policies: Sequence[str], least: int) -> None:
    """Check that there are enough policies, and each once.

    Raises:
        ValueError: there are too few, or one is named twice.
    """
    if len(policies) < least or len(set(policies)) < len(policies):
        what = "at least one, and each once" if least else "each once"
        raise ValueError(f"policies is {list(policies)}; allowed is {what}")


def load_log_agent(
    name: str, menu: World, device: str, allow: Sequence[str], also: str = ""
) -> Agent:
    """Return an agent that can decide for the members of a log.

    Args:
        name: run directory or file of an agent, trained in any world with the log's channels,
            schedule, menu and reward.
        menu: the world of the log.
        device: of the agent's networks.
        allow: import paths of the user's own classes that the agent may name.
        also: what else is allowed, for the message of a name that is no agent's.

    Raises:
        ValueError: there is no such agent, or it is of another company's world.
    """
    try:
        agent: Agent = load_agent(name, None, device, allow, Agent)  # type: ignore[type-abstract]  # it loads a subclass
    except ValueError as error:
        raise ValueError(f"{error}; {also}" if also else str(error)) from error
    assert agent.world is not None
    different = company_differences(agent.world, menu)
    if different:
        raise ValueError(
            f"{name} was trained in world {agent.world.name!r}, which differs from the log in "
            f"{', '.join(different)}; allowed is an agent for the log's"
        )
    return agent


def load_planning_policy(
    name: str, menu: World, device: str, allow: Sequence[str]
) -> FixedPlanner | Agent:
    """Return a policy that chooses plans.

    Args:
        name: "never" or "always" for the smallest and largest plan of the menu, a plan such as
            "3+1", or an agent as in :func:`load_log_agent`.
        menu: the world of the log, with the menu.
        device: of an agent's networks.
        allow: import paths of the user's own classes that an agent may name.

    Raises:
        ValueError: the plan is not on the menu, or there is no such agent, or it has no planner.
    """
    ends = {"never": menu.plans.min(axis=0).tolist(), "always": menu.plans.max(axis=0).tolist()}
    if name in ends:
        return FixedPlanner(menu, ends[name])
    if _PLAN.fullmatch(name) and not Path(name).exists():
        return FixedPlanner(menu, [int(sends) for sends in name.split("+")])
    also = "also never, always and plans such as 3+1"
    agent = load_log_agent(name, menu, device, allow, also)
    if agent.slow is None:
        raise ValueError(f"policies has {name}, which has no planner; allowed is one that plans")
    return agent
