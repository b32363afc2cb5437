"""A member's weeks as a figure, recorded by an environment or simulated here."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from slowfast_rl.agents import Agent
from slowfast_rl.envs.base import MemberVectorEnv
from slowfast_rl.envs.timeline import Timeline
from slowfast_rl.evaluation.contestants import Contestant, trained_contestant
from slowfast_rl.evaluation.figures import BLUE, DARK, GREEN, ORANGE, Axes, axes_of_size, in_style
from slowfast_rl.members.population import Population
from slowfast_rl.policies.plan_exchange import PlanExchange, plans_of_planner
from slowfast_rl.slow.simple import safe_planner
from slowfast_rl.store import InMemoryFeatureStore

WEEKS_OF_A_YEAR = 52


@in_style
def member_year(
    source: Any,
    member: int = 0,
    agent: Agent | Contestant | None = None,
    *,
    ax: Axes | None = None,
) -> Axes:
    """Draw a member's weeks: sends, opens, dismissals, opt-outs, viewing days and latents.

    Args:
        source: a population, of which a copy is simulated for 52 weeks; or an environment that was
            made with a ``render_mode``, whose present episodes are shown as far as they are played.
        member: the member's id, which the source must have.
        agent: who plans and sends; None for the world's safe plan. An environment has its own.
        ax: axes to draw into; None makes a figure.

    Raises:
        ValueError: the source is neither, does not have the member, recorded no timeline, or is an
            environment of which no week was played.
    """
    timeline, row, weeks, churned = _timeline_of(source, member, agent)
    recorded = timeline.values[row, :, :weeks]
    values = dict(zip(timeline.names, recorded, strict=True))
    world = timeline.world
    lanes = [*world.channels, "viewing days"] + (["latents"] if timeline.privileged else [])
    labels = list(lanes)
    ax = axes_of_size(ax, 8, 0.8 + 0.75 * len(lanes))
    x = np.arange(weeks)
    for lane, channel in enumerate(world.channels):
        base = np.full(weeks, float(-lane))
        highest = max(float(values[f"{channel} sends"].max(initial=0)), 1.0)
        most = highest / 0.42
        labels[lane] = f"{channel}\n(bars up to {highest:.0f} a week)"
        sends, opens = values[f"{channel} sends"] / most, values[f"{channel} opens"] / most
        ax.bar(x, sends, 0.9, base, color=BLUE, alpha=0.3, label=_once(lane, "sends"))
        ax.bar(x, opens, 0.9, base, color=BLUE, label=_once(lane, "opens"))
        hanging = values[f"{channel} dismissals"] / most
        label = _once(lane, "dismissals (downwards)")
        ax.bar(x, -hanging, 0.9, base, color=ORANGE, hatch="//", label=label)
        left = np.flatnonzero(values[f"{channel} opt-outs"])
        ax.plot(left, base[left], "X", color=DARK, markersize=8, label=_once(lane, "opt-out"))
    base = np.full(weeks, float(-len(world.channels)))
    ax.bar(x, values["viewing days"] / 7 * 0.8, 0.9, base - 0.4, color=GREEN, label="viewing days")
    labels[len(world.channels)] = "viewing days\n(bars up to 7 a week)"
    if churned:
        ax.axvline(weeks - 0.5, color=DARK, linewidth=1, label="leaves the service")
    if timeline.privileged:
        bottom = -len(lanes) + 1 - 0.4
        tired = np.max([values[f"{channel} fatigue"] for channel in world.channels], axis=0)
        goodwill = values["goodwill"]
        peak = max(float(tired.max(initial=0)), 1e-9)
        ax.plot(x, bottom + 0.8 * tired / peak, color=ORANGE, label=f"fatigue (peak {peak:.1f})")
        ax.plot(x, bottom + 0.8 * goodwill, "--", color=DARK, label="goodwill (0 to 1)")
    ax.set_yticks([-float(lane) for lane in range(len(lanes))], labels)
    ax.set_xlim(-0.6, max(weeks, 1) - 0.4)
    ax.set_xlabel("week")
    who = "" if agent is None else f" under {agent.name}"
    ax.set_title(f"Member {member}{who}")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def _timeline_of(
    source: Any, member: int, agent: Agent | Contestant | None
) -> tuple[Timeline, int, int, bool]:
    """Return a timeline, a member's row in it, its weeks so far, and whether it then churned."""
    if agent is not None and not isinstance(agent, Agent | Contestant):
        raise ValueError(f"agent is a {type(agent).__name__}; allowed is an agent, or None")
    if isinstance(source, Population):
        rows = np.flatnonzero(source.members == member)
        if not rows.size:
            raise ValueError(f"member is {member}; allowed are {_span(source.members)}")
        simulated, churned = _simulated(source.take(rows[:1]), agent)
        return simulated, 0, churned, churned < WEEKS_OF_A_YEAR
    env = getattr(source, "unwrapped", source)
    env = getattr(env, "vector", env)
    if not isinstance(env, MemberVectorEnv):
        raise ValueError(
            f"source is a {type(source).__name__}; allowed is a population or an environment"
        )
    timeline = env.timeline
    if timeline is None:
        raise ValueError("the environment records no timeline; make it with render_mode='ansi'")
    rows = np.flatnonzero(env.population.members == member)
    if not rows.size:
        raise ValueError(f"member is {member}; allowed are {_span(env.population.members)}")
    row = int(rows[0])
    if not timeline.weeks(row):
        raise ValueError(
            f"member {member} has played no week; allowed is an environment after reset and a step"
        )
    return timeline, row, timeline.weeks(row), not env.population.alive[row]


def _simulated(population: Population, agent: Agent | Contestant | None) -> tuple[Timeline, int]:
    """Return the timeline of one member's year, and the week in which it churned or the last."""
    world = population.world
    entrant = trained_contestant(agent, world) if isinstance(agent, Agent) else agent
    planner = safe_planner(world) if entrant is None else entrant.planner
    executor = None if entrant is None else entrant.executor
    exchange = PlanExchange(world, InMemoryFeatureStore(), executor)
    timeline = Timeline(world, 1, WEEKS_OF_A_YEAR, privileged=True)
    start, churned = int(population.weeks[0]), 0
    for _ in range(WEEKS_OF_A_YEAR):
        churned += int(population.alive[0])
        if population.alive[0]:
            plans = plans_of_planner(population, planner)
            exchange.issue(population, plans, planner.policy_version)
        exchange.run_week(population)
        timeline.record(population, since=start)
    return timeline, churned


def _once(number: int, label: str) -> str | None:
    """Return a label for the first of several; others do not repeat it in the legend."""
    return label if number == 0 else None


def _span(members: NDArray[Any]) -> str:
    return f"{members.min()} to {members.max()}"
