"""Contestants of a leaderboard: trained agents, their controls, and named baselines."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import NamedTuple

from slowfast_rl.agents import Agent, ThresholdAgent
from slowfast_rl.agents.base import BASELINE_NAMES
from slowfast_rl.evaluation.progress import progress_bar
from slowfast_rl.evaluation.references import References
from slowfast_rl.members.world import World
from slowfast_rl.policies.contracts import BasePlanner, Executor
from slowfast_rl.slow import DealtPlanner, FixedPlanner, PerMemberPlanner, RandomPlanner

NAMES = (*BASELINE_NAMES, "threshold")
REFERENCE_NAMES = ("best_fixed", "oracle")  # that need references
THRESHOLD_SEED = 0  # training seed of the baseline "threshold"
_CONTROL_SEED = 7  # seed of random plans and of dealt plans


class Contestant(NamedTuple):
    """A planner and an executor under a name, as the leaderboard evaluates them.

    Attributes:
        name: the name.
        planner: the slow policy.
        executor: the fast policy; None for the default.
        seeds: training seeds.
        train_cpu_seconds: CPU time of the training.
        train_opportunities: send opportunities simulated for the training.
        single: whether it is a single policy without planner, scored with its own executor.
        control: whether tables show it, but not TensorBoard.
        checkpoint: where the agent was loaded from.
        group: digest that agents share which differ in their training seed alone; None for none.
    """

    name: str
    planner: BasePlanner
    executor: Executor | None = None
    seeds: tuple[int, ...] = ()
    train_cpu_seconds: float = 0.0
    train_opportunities: int = 0
    single: bool = False
    control: bool = False
    checkpoint: str | None = None
    group: str | None = None


Entrant = Agent | Contestant | str  # what can be entered in a leaderboard


def agent_contestants(agent: Agent, world: World) -> list[Contestant]:
    """Return a trained agent and its controls: plans dealt at random, and the untrained agent.

    Raises:
        ValueError: as :func:`trained_contestant` does.
    """
    trained = trained_contestant(agent, world)
    dealt = [] if trained.single else [dealt_contestant(trained)]
    return [trained, *dealt, untrained_contestant(agent, world)]


def trained_contestant(agent: Agent, world: World) -> Contestant:
    """Return a trained agent as a contestant, with its own executor.

    An agent without a planner gets the smallest plan, which its executor ignores.

    Args:
        agent: the trained agent.
        world: the world of the evaluation.

    Raises:
        ValueError: the agent was trained in a world with other channels, topics, candidates or
            plans.
    """
    shared = ["channels", "num_topics", "num_candidates"]
    _check_compatible(agent, world, shared if agent.slow is None else [*shared, "menu", "shapes"])
    smallest = FixedPlanner(world, world.plans.min(axis=0).tolist())
    return Contestant(
        agent.name,
        smallest if agent.slow is None else agent.slow,
        agent.executor,
        (agent.seed,),
        agent.train_cpu_seconds,
        agent.train_opportunities,
        single=agent.slow is None,
        group=agent.recipe(),
    )


def dealt_contestant(trained: Contestant) -> Contestant:
    """Return a contestant whose plans are exchanged at random among members with equal opt-ins."""
    dealt = DealtPlanner(trained.planner, _CONTROL_SEED)
    return trained._replace(name=f"{trained.name}_dealt", planner=dealt, group=None, control=True)


def untrained_contestant(agent: Agent, world: World) -> Contestant:
    """Return an agent in the state before its training, as a contestant."""
    untrained = trained_contestant(agent.untrained_copy(world), world)
    return untrained._replace(
        name=f"{agent.name}_untrained",
        train_cpu_seconds=0.0,
        train_opportunities=0,
        group=None,
        control=True,
    )


def check_name(
    name: str, world: World, references: References | None, remedy: str | None = None
) -> None:
    """Check that a baseline of this name exists and has the references that it needs.

    Args:
        name: the name.
        world: the world.
        references: the references of this case; None if there are none.
        remedy: how references are computed, for the message; None for the command.

    Raises:
        ValueError: the name is unknown, or its references were not computed for this case.
    """
    if name not in NAMES:
        raise ValueError(f"unknown agent {name!r}; allowed: {', '.join(NAMES)}")
    if name in REFERENCE_NAMES and references is None:
        command = (
            f"compute them with python -m slowfast_rl.cli.references world={world.name} and this "
            "case's num_members and weeks"
        )
        raise ValueError(f"{name!r} needs references of this case; {remedy or command}")


def named_contestant(
    name: str, world: World, references: References | None, progress: bool = True
) -> Contestant:
    """Return a baseline by name; "threshold" is trained with the seed ``THRESHOLD_SEED``.

    Args:
        name: one of ``NAMES``.
        world: the world.
        references: the references of this case, for "best_fixed" and "oracle".
        progress: whether training shows a progress bar.

    Raises:
        ValueError: the name is unknown, or its references were not computed for this case.
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


def make_contestants(
    agents: Sequence[Entrant], world: World, references: References | None, progress: bool = True
) -> list[Contestant]:
    """Return the contestants under unique names.

    Where several have one name, the training seed is added, as in ``a,seed=1``; a second one of
    the same name and seed becomes ``a_2``.

    Args:
        agents: agents, contestants and names of baselines.
        world: the world of the evaluation.
        references: the references of this case; None if there are none.
        progress: whether training shows progress bars.

    Raises:
        ValueError: the sequence is empty, a name or type is unknown, or an agent was trained in an
            incompatible world.
    """
    if isinstance(agents, str | Agent | Contestant) or not agents:
        raise ValueError(f"agents is {agents!r}; a list of at least one agent or name is needed")
    for agent in agents:  # check all names before anything is trained
        if isinstance(agent, str):
            check_name(agent, world, references)
    made = [_contestant(agent, world, references, progress) for agent in agents]
    names = Counter(contestant.name for contestant in made)
    result: list[Contestant] = []
    for contestant in made:
        name = contestant.name
        if names[name] > 1 and len({c.seeds for c in made if c.name == name}) > 1:
            name += "".join(f",seed={seed}" for seed in contestant.seeds)
        unique = unique_name(name, {other.name for other in result})
        result.append(contestant._replace(name=unique))
    return result


def unique_name(name: str, taken: Collection[str]) -> str:
    """Return a name, or where it is taken the first of ``a_2``, ``a_3``, … that is not."""
    unique, number = name, 1
    while unique in taken:
        number += 1
        unique = f"{name}_{number}"
    return unique


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


def _check_compatible(agent: Agent, world: World, shared: Sequence[str]) -> None:
    """Check that the agent's training world shares parameters with the evaluation's world.

    Args:
        agent: the agent.
        world: the world of the evaluation.
        shared: names of the parameters that must be equal.

    Raises:
        ValueError: the agent has no world, or a parameter differs.
    """
    if agent.world is None:
        raise ValueError(f"agent {agent.name!r} has no world; call learn or load first")
    for name in shared:
        evaluated, trained = getattr(world, name), getattr(agent.world, name)
        if evaluated != trained:
            raise ValueError(
                f"agent {agent.name!r} was trained with {name} {trained}, not {evaluated}"
            )
