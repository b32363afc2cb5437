"""Who can be on a leaderboard: trained agents, their controls, and baselines by name."""

from collections.abc import Sequence
from typing import NamedTuple

from slowfast_rl.agents import SlowFastAgent
from slowfast_rl.envs.execution import Planner
from slowfast_rl.envs.executor import Executor
from slowfast_rl.evaluation.references import References
from slowfast_rl.members.world import World
from slowfast_rl.slow import DealtPlanner, FixedPlanner, PerMemberPlanner, RandomPlanner

NAMES = ("never", "always", "random", "best_fixed", "oracle")
_CONTROL_SEED = 7  # of random plans and of dealing


class Contestant(NamedTuple):
    """An agent as the leaderboard runs it."""

    name: str
    planner: Planner
    executor: Executor | None = None  # None for the default
    seeds: tuple[int, ...] = ()  # that it was trained with
    train_cpu_seconds: float = 0.0
    train_opportunities: int = 0


def slowfast_contestants(agent: SlowFastAgent, world: World) -> list[Contestant]:
    """Return a trained agent and its two controls: its own plans dealt at random, and untrained.

    Raises:
        ValueError: as :func:`trained_contestant` does.
    """
    trained = trained_contestant(agent, world)
    return [trained, dealt_contestant(trained), untrained_contestant(agent, world)]


def trained_contestant(agent: SlowFastAgent, world: World) -> Contestant:
    """Return an agent with its own executor.

    Raises:
        ValueError: the agent was trained in a world of other channels, topics or plans.
    """
    home = agent.world
    if home is None:
        raise ValueError(f"agent {agent.name!r} knows no world; call learn or load first")
    for what in ("channels", "num_topics", "num_candidates", "menu", "shapes"):
        here, there = getattr(world, what), getattr(home, what)
        if here != there:
            raise ValueError(f"agent {agent.name!r} was trained with {what} {there}, not {here}")
    return Contestant(
        agent.name,
        agent.slow,
        agent.fast,
        (agent.seed,),
        agent.train_cpu_seconds,
        agent.train_opportunities,
    )


def dealt_contestant(trained: Contestant) -> Contestant:
    """Return a contestant with its plans dealt at random among members with the same opt-ins."""
    dealt = DealtPlanner(trained.planner, _CONTROL_SEED)
    return trained._replace(name=f"{trained.name}_dealt", planner=dealt)


def untrained_contestant(agent: SlowFastAgent, world: World) -> Contestant:
    """Return the same agent as before its training."""
    fresh = agent.untrained_copy(world)
    return Contestant(f"{agent.name}_untrained", fresh.slow, fresh.fast, seeds=(agent.seed,))


def named_contestant(name: str, world: World, references: References | None) -> Contestant:
    """Return a baseline by name.

    Raises:
        ValueError: unknown name, or a reference that was not computed for this case.
    """
    plans = world.plans
    if name == "never":
        return Contestant(name, FixedPlanner(world, plans.min(axis=0).tolist()))
    if name == "always":
        return Contestant(name, FixedPlanner(world, plans.max(axis=0).tolist()))
    if name == "random":
        return Contestant(name, RandomPlanner(_CONTROL_SEED))
    if name not in NAMES:
        raise ValueError(f"unknown agent {name!r}; allowed: {', '.join(NAMES)}")
    if references is None:
        raise ValueError(
            f"{name!r} needs references of this case; compute them with python -m "
            f"slowfast_rl.cli.references world={world.name} and this case's num_members and weeks"
        )
    if name == "best_fixed":
        best = FixedPlanner(world, references.best_fixed_plan, references.best_fixed_shape)
        return Contestant(name, best)
    return Contestant(name, PerMemberPlanner(world, references.oracle_plans))


def enter(
    agents: Sequence[SlowFastAgent | Contestant | str], world: World, references: References | None
) -> list[Contestant]:
    """Return the contestants, each under a name of its own: a second ``a`` becomes ``a_2``.

    Raises:
        ValueError: nobody, an unknown name or object, or one that does not fit the world.
    """
    if isinstance(agents, str) or not agents:
        raise ValueError(f"agents is {agents!r}; a list of at least one agent or name is needed")
    entrants: list[Contestant] = []
    for agent in agents:
        entrant = _contestant(agent, world, references)
        taken = {other.name for other in entrants}
        number, name = 1, entrant.name
        while name in taken:
            number += 1
            name = f"{entrant.name}_{number}"
        entrants.append(entrant._replace(name=name))
    return entrants


def _contestant(
    agent: SlowFastAgent | Contestant | str, world: World, references: References | None
) -> Contestant:
    if isinstance(agent, str):
        return named_contestant(agent, world, references)
    if isinstance(agent, SlowFastAgent):
        return trained_contestant(agent, world)
    if isinstance(agent, Contestant):
        return agent
    raise ValueError(
        f"agents has a {type(agent).__name__}; allowed: SlowFastAgent, Contestant, "
        f"{', '.join(NAMES)}"
    )
