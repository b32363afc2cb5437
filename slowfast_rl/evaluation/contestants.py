"""Who can be on a leaderboard: trained agents, their controls, and baselines by name."""

from collections.abc import Sequence
from typing import NamedTuple

from slowfast_rl.agents import Agent, ThresholdAgent
from slowfast_rl.evaluation.progress import progress_bar
from slowfast_rl.evaluation.references import References
from slowfast_rl.members.world import World
from slowfast_rl.policies.contracts import BasePlanner, Executor
from slowfast_rl.slow import DealtPlanner, FixedPlanner, PerMemberPlanner, RandomPlanner

NAMES = ("never", "always", "random", "best_fixed", "oracle", "threshold")
THRESHOLD_SEED = 0  # that the threshold is trained with where it is asked for by name
_CONTROL_SEED = 7  # of random plans and of dealing


class Contestant(NamedTuple):
    """An agent as the leaderboard runs it."""

    name: str
    planner: BasePlanner
    executor: Executor | None = None  # None for the default
    seeds: tuple[int, ...] = ()  # that it was trained with
    train_cpu_seconds: float = 0.0
    train_opportunities: int = 0
    single: bool = False  # one policy without a planner, scored by its own return


Entrant = Agent | Contestant | str


def agent_contestants(agent: Agent, world: World) -> list[Contestant]:
    """Return a trained agent and its controls: its own plans dealt at random, and untrained.

    Raises:
        ValueError: as :func:`trained_contestant` does.
    """
    trained = trained_contestant(agent, world)
    dealt = [] if trained.single else [dealt_contestant(trained)]
    return [trained, *dealt, untrained_contestant(agent, world)]


def trained_contestant(agent: Agent, world: World) -> Contestant:
    """Return an agent with its own executor.

    An agent without a planner is given the empty plan, which it ignores.

    Raises:
        ValueError: the agent was trained in a world of other channels, topics or plans.
    """
    shared = ["channels", "num_topics", "num_candidates"]
    _check_home(agent, world, shared if agent.slow is None else [*shared, "menu", "shapes"])
    never = FixedPlanner(world, world.plans.min(axis=0).tolist())
    return Contestant(
        agent.name,
        never if agent.slow is None else agent.slow,
        agent.executor,
        (agent.seed,),
        agent.train_cpu_seconds,
        agent.train_opportunities,
        single=agent.slow is None,
    )


def dealt_contestant(trained: Contestant) -> Contestant:
    """Return a contestant with its plans dealt at random among members with the same opt-ins."""
    dealt = DealtPlanner(trained.planner, _CONTROL_SEED)
    return trained._replace(name=f"{trained.name}_dealt", planner=dealt)


def untrained_contestant(agent: Agent, world: World) -> Contestant:
    """Return the same agent as before its training."""
    fresh = trained_contestant(agent.untrained_copy(world), world)
    return fresh._replace(
        name=f"{agent.name}_untrained", train_cpu_seconds=0.0, train_opportunities=0
    )


def check_name(name: str, world: World, references: References | None) -> None:
    """Pass the name of a baseline that can be made.

    Raises:
        ValueError: unknown name, or a reference that was not computed for this case.
    """
    if name not in NAMES:
        raise ValueError(f"unknown agent {name!r}; allowed: {', '.join(NAMES)}")
    if name in ("best_fixed", "oracle") and references is None:
        raise ValueError(
            f"{name!r} needs references of this case; compute them with python -m "
            f"slowfast_rl.cli.references world={world.name} and this case's num_members and weeks"
        )


def named_contestant(
    name: str, world: World, references: References | None, progress: bool = True
) -> Contestant:
    """Return a baseline by name; the threshold is trained here, on seed ``THRESHOLD_SEED``.

    Args:
        name: one of NAMES.
        world: the world.
        references: of this case, where the name needs them.
        progress: show a progress bar where something is trained.

    Raises:
        ValueError: unknown name, or a reference that was not computed for this case.
    """
    check_name(name, world, references)
    plans = world.plans
    if name == "never":
        return Contestant(name, FixedPlanner(world, plans.min(axis=0).tolist()))
    if name == "always":
        return Contestant(name, FixedPlanner(world, plans.max(axis=0).tolist()))
    if name == "random":
        return Contestant(name, RandomPlanner(_CONTROL_SEED))
    if name == "threshold":
        with progress_bar(None, "training threshold" if progress else None, " slots") as bar:
            agent = ThresholdAgent().learn(
                world, seed=THRESHOLD_SEED, progress=lambda done: bar.update(done - bar.n)
            )
        return trained_contestant(agent, world)
    assert references is not None
    if name == "best_fixed":
        best = FixedPlanner(world, references.best_fixed_plan, references.best_fixed_shape)
        return Contestant(name, best)
    return Contestant(name, PerMemberPlanner(world, references.oracle_plans))


def enter(
    agents: Sequence[Entrant], world: World, references: References | None, progress: bool = True
) -> list[Contestant]:
    """Return the contestants, each under a name of its own: a second ``a`` becomes ``a_2``.

    Raises:
        ValueError: nobody, an unknown name or object, or one that does not fit the world.
    """
    if isinstance(agents, str) or not agents:
        raise ValueError(f"agents is {agents!r}; a list of at least one agent or name is needed")
    for agent in agents:  # all of them, before anything is trained
        if isinstance(agent, str):
            check_name(agent, world, references)
    entrants: list[Contestant] = []
    for agent in agents:
        entrant = _contestant(agent, world, references, progress)
        taken = {other.name for other in entrants}
        number, name = 1, entrant.name
        while name in taken:
            number += 1
            name = f"{entrant.name}_{number}"
        entrants.append(entrant._replace(name=name))
    return entrants


def _contestant(
    agent: Entrant, world: World, references: References | None, progress: bool
) -> Contestant:
    if isinstance(agent, str):
        return named_contestant(agent, world, references, progress)
    if isinstance(agent, Agent):
        return trained_contestant(agent, world)
    if isinstance(agent, Contestant):
        return agent
    raise ValueError(
        f"agents has a {type(agent).__name__}; allowed: agents, contestants and the names "
        f"{', '.join(NAMES)}"
    )


def _check_home(agent: Agent, world: World, shared: Sequence[str]) -> None:
    """Pass an agent whose home world has these parameters in common with a world.

    Raises:
        ValueError: it knows no world, or one that differs in them.
    """
    home = agent.world
    if home is None:
        raise ValueError(f"agent {agent.name!r} knows no world; call learn or load first")
    for what in shared:
        here, there = getattr(world, what), getattr(home, what)
        if here != there:
            raise ValueError(f"agent {agent.name!r} was trained with {what} {there}, not {here}")
