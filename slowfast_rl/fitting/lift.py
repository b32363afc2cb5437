"""What another policy would earn in a fitted world, beside the log's own plans."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from slowfast_rl.evaluation.formatting import table_of
from slowfast_rl.evaluation.statistics import Z95, Interval
from slowfast_rl.fitting.estimate import MOST_AWAY
from slowfast_rl.fitting.parameters import ParameterSpace
from slowfast_rl.fitting.simulate import Design, begin_log
from slowfast_rl.members.arrays import Float64, Int64
from slowfast_rl.members.population import Population
from slowfast_rl.members.workers import run_jobs
from slowfast_rl.members.world import World
from slowfast_rl.policies.contracts import BasePlanner
from slowfast_rl.policies.executor import default_executor
from slowfast_rl.policies.plan_exchange import plans_of_planner
from slowfast_rl.policies.simulate import discounted_returns

WORLDS = 20  # drawn from what the log leaves open
MEMBERS, MEMBERS_OF_WORLD = 8192, 2048  # simulated in the fitted world, and in each of the others


class Lift(NamedTuple):
    """What a policy would earn in the weeks of the log, in the fitted world.

    Attributes:
        policy: its name.
        lift: mean discounted return of a member minus that under the log's plans, for the same
            members under the same luck, with its 95 % interval. The interval has in it what the
            log leaves open about the parameters, and the noise of the simulation; it does not have
            in it that the model may be wrong.
        value: mean discounted return of a member under the policy, in the fitted world.
        logged: mean discounted return of a member under the log's plans, in the fitted world.
        spread: standard deviation of the lift between worlds that the log leaves open.
        weeks: number of weeks.
    """

    policy: str
    lift: Interval
    value: float
    logged: float
    spread: float
    weeks: int


def lifts_table(lifts: Sequence[Lift]) -> str:
    """Return lifts as a Markdown table."""
    return table_of(
        "policy | lift | return | return of the log's plans | weeks",
        "{policy} | {lift:+.2i} | {value:.2f} | {logged:.2f} | {weeks}",
        [lift._asdict() for lift in lifts],
    )


class _Case(NamedTuple):
    """What the simulations of all worlds share."""

    design: Design
    planner: BasePlanner
    seed: int

    @property
    def thread_safe(self) -> bool:
        """Whether several threads may use the policies."""
        policies = self.planner, self.design.planner, self.design.executor
        return all(getattr(p, "thread_safe", False) for p in policies if p is not None)


def planner_of(policy: Any) -> BasePlanner:
    """Return a policy's planner.

    Args:
        policy: a planner, or an agent with one as ``slow``.

    Raises:
        ValueError: it has none.
    """
    planner: BasePlanner | None = getattr(policy, "slow", policy)
    if planner is None or not callable(getattr(planner, "plan", None)):
        raise ValueError(f"the policy is {policy!r}; allowed are a planner and an agent with one")
    return planner


def simulated_lift(
    space: ParameterSpace,
    theta: Float64,
    covariance: Float64,
    design: Design,
    planner: BasePlanner,
    name: str,
    seed: int,
) -> Lift:
    """Return what a planner would earn in the world of a vector, over the plans of a log.

    Args:
        space: the worlds.
        theta: [P] the fitted world.
        covariance: [P, P] of its error.
        design: how the members of the log were treated; its executor executes both plans.
        planner: chooses other plans from the log's first week on.
        name: of the policy.
        seed: of members, luck and worlds.
    """
    draws = np.random.default_rng(seed).multivariate_normal(
        theta, covariance, WORLDS, method="eigh"
    )
    thetas = [theta, *np.clip(draws, -MOST_AWAY, MOST_AWAY)]
    sizes = [MEMBERS, *[MEMBERS_OF_WORLD] * WORLDS]
    jobs = [(space.world(each), size) for each, size in zip(thetas, sizes, strict=True)]
    pairs = list(run_jobs(_returns, _Case(design, planner, seed), jobs))
    gains = [policy - logged for policy, logged in pairs]
    fitted, spread = gains[0], float(np.std([gain.mean() for gain in gains[1:]], ddof=1))
    half = Z95 * float(np.hypot(spread, fitted.std(ddof=1) / np.sqrt(len(fitted))))
    mean = float(fitted.mean())
    return Lift(
        policy=name,
        lift=Interval(mean, mean - half, mean + half),
        value=float(pairs[0][0].mean()),
        logged=float(pairs[0][1].mean()),
        spread=spread,
        weeks=design.weeks,
    )


def _returns(case: _Case, job: tuple[World, int]) -> tuple[Float64, Float64]:
    """Return members' discounted returns under the planner and under the log's plans, [N] each."""
    return _returns_under(case, job, case.planner), _returns_under(case, job, None)


def _returns_under(case: _Case, job: tuple[World, int], planner: BasePlanner | None) -> Float64:
    """Return members' discounted returns in the weeks of the log, [N].

    Args:
        case: what all simulations share.
        job: the world, and how many members are simulated.
        planner: chooses the plans; None for the plans of the log.
    """
    (world, num_members), design = job, case.design
    own = design.planner if planner is None else planner
    population, chooser = begin_log(
        world,
        design,
        num_members,
        case.seed,
        belief_filter=None if own is None else own.belief_filter,
    )

    def choose(members: Population, week: int) -> Int64:
        if planner is None:
            return chooser.plans(members, week)
        return plans_of_planner(members, planner)

    executor = design.executor or default_executor()
    return discounted_returns(population, design.weeks, choose, executor)
