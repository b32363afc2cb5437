"""The result of a fit: a world, how sure it is, and whether the model is right at all."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import yaml

from slowfast_rl.evaluation.formatting import as_json, table_of
from slowfast_rl.evaluation.statistics import Z95
from slowfast_rl.fitting.backtest import Arm, backtest_warnings
from slowfast_rl.fitting.estimate import Null
from slowfast_rl.fitting.lift import Lift, planner_of, simulated_lift
from slowfast_rl.fitting.parameters import ParameterSpace
from slowfast_rl.fitting.settings import FitSettings
from slowfast_rl.fitting.simulate import Design
from slowfast_rl.fitting.weekly_means import WeeklyMean
from slowfast_rl.members.arrays import Float64
from slowfast_rl.members.loading import world_hash
from slowfast_rl.members.parameters import group_types
from slowfast_rl.members.parsing import tree_from_world
from slowfast_rl.members.world import World

if TYPE_CHECKING:
    from slowfast_rl.evaluation.figures import Axes

_KNOWN = 0.5  # standard error relative to the prior's, below which the log tells a parameter
_LEAST_WEIGHT = 0.2  # of a parameter that a combination names
_WORST = 8  # statistics that are named where the model is wrong


class FittedParameter(NamedTuple):
    """One fitted number, in its own unit.

    Attributes:
        name: dotted name, such as "response.fatigue_decay.push".
        start: the base world's value.
        value: the fitted value.
        low: lower end of the 95 % interval.
        high: its upper end.
        error: standard error of its log; of a location, which is a log already, of itself.
        identified: whether the log tells it: the error is at most half of the prior's.
    """

    name: str
    start: float
    value: float
    low: float
    high: float
    error: float
    identified: bool


class Combination(NamedTuple):
    """A product of powers of parameters, of which the log tells more or less than of each alone.

    Attributes:
        powers: the exponent of each parameter, by its name; their squares add up to about 1.
        error: standard error of the logarithm of the product.
        identified: whether the log tells it.
    """

    powers: dict[str, float]
    error: float
    identified: bool

    def __str__(self) -> str:
        """Return the product as text."""
        return " × ".join(f"{name}^{power:.2f}" for name, power in self.powers.items())


class Statistic(NamedTuple):
    """One statistic of the observed log and of the fitted world's.

    Attributes:
        name: what it is.
        observed: of the log, a mean over members.
        simulated: of the fitted world.
        z: their difference in its standard errors.
    """

    name: str
    observed: float
    simulated: float
    z: float


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A fitted world.

    Attributes:
        world: the fitted world.
        base: the world that the fit began with.
        parameters: what was fitted, P numbers.
        opt_in: [C] shares opted in at the start of the log, which the world has.
        objective: weighed squared differences of statistics between the log and the fitted world.
        null: how the objective is distributed where the model is right.
        history: objectives, with the prior's part, after each step; they jump where more members
            are simulated.
        information: [P, P] information of the log on the parameters' logs, without the prior.
        covariance: [P, P] of the errors of the parameters' logs.
        combinations: those that the log does not tell, and the one of goodwill that it tells best.
        statistics: the K statistics, observed and simulated.
        weekly: what happened in each week, of the log and of the fitted world.
        arms: what groups of plans earned, in the log and in the fitted world.
        space: the worlds of the fit.
        design: how the members of the log were treated.
        theta: [P] the logs of the parameters, relative to the base world's.
        num_members: of the log.
        weeks: of the log.
        settings: of the fit.
        cpu_seconds: CPU time of the fit.
    """

    world: World
    base: World
    parameters: tuple[FittedParameter, ...]
    opt_in: tuple[float, ...]
    objective: float
    null: Null
    history: tuple[float, ...]
    information: Float64 = field(repr=False)
    covariance: Float64 = field(repr=False)
    combinations: tuple[Combination, ...] = field(repr=False)
    statistics: tuple[Statistic, ...] = field(repr=False)
    weekly: tuple[WeeklyMean, ...] = field(repr=False)
    arms: tuple[Arm, ...] = field(repr=False)
    space: ParameterSpace = field(repr=False)
    design: Design = field(repr=False)
    theta: Float64 = field(repr=False)
    num_members: int
    weeks: int
    settings: FitSettings
    cpu_seconds: float

    @property
    def fits(self) -> bool:
        """Whether the objective is one that a right model would have."""
        return self.null.probability >= self.settings.least_probability

    @property
    def verdict(self) -> str:
        """One sentence on whether the model can have made the log."""
        numbers = (
            f"objective {self.objective:,.0f}, where a right model has "
            f"{self.null.mean:,.0f} ± {self.null.spread:,.0f} (95 % below {self.null.high:,.0f})"
        )
        if self.fits and self.objective <= self.null.high:
            return f"The model fits the log: {numbers}."
        if self.fits:
            return (
                f"The model fits the log poorly: {numbers}, and one as large with probability "
                f"{self.null.probability:.1g}. Look at the statistics that differ most before you "
                "train in this world."
            )
        return (
            f"THE MODEL IS WRONG: no world of this family has made the log; {numbers}. Do not "
            "train in this world before you know why: plans or an executor that are not those of "
            "the log, or members who differ from the model."
        )

    @property
    def warnings(self) -> list[str]:
        """Why the world may be wrong about plans although it fits, one sentence each."""
        return backtest_warnings(self.arms)

    def lift(self, policy: Any, name: str | None = None) -> Lift:
        """Return what another policy would earn in the weeks of the log, in the fitted world.

        The log's executor executes its plans. Members, luck and launches are those of the log's
        own plans, over which the lift is.

        Args:
            policy: a planner, or an agent with one.
            name: of the policy in the result; None for its own.

        Raises:
            ValueError: the policy has no planner.
        """
        planner = planner_of(policy)
        return simulated_lift(
            self.space,
            self.theta,
            self.covariance,
            self.design,
            planner,
            name or planner.name,
            self.settings.seed + 1,
        )

    def arms_table(self) -> str:
        """Return the backtest as a Markdown table."""
        rows = [arm._asdict() | {"off": arm.standard_errors} for arm in self.arms]
        return table_of(
            "plans | member-weeks | log | fitted world | lead in the log | lead in the world | "
            "difference | standard errors",
            "{plans} | {member_weeks:,} | {observed:.2i} | {simulated:.2i} | "
            "{observed_lead:+.3i} | {simulated_lead:+.3i} | {difference:+.3i} | {off:+.1f}",
            rows,
        )

    def table(self) -> str:
        """Return the parameters as a Markdown table."""
        rows = [p._asdict() | {"told": "yes" if p.identified else "no"} for p in self.parameters]
        return table_of(
            "parameter | start | fitted | 95 % from | to | error of the logarithm | "
            "told by the log",
            "{name} | {start:.4g} | {value:.4g} | {low:.4g} | {high:.4g} | {error:.3f} | {told}",
            rows,
        )

    def worst(self, count: int = _WORST) -> tuple[Statistic, ...]:
        """Return the statistics in which the fitted world differs most from the log."""
        return tuple(sorted(self.statistics, key=lambda s: -abs(s.z))[:count])

    def plot_parameters(self) -> "Axes":
        """Draw the fitted values relative to the base world's. Needs the extra ``report``."""
        from slowfast_rl.fitting.plots import draw_parameters

        return draw_parameters(self)

    def plot_statistics(self) -> "Axes":
        """Draw by how much statistics of log and fitted world differ, beside what chance makes."""
        from slowfast_rl.fitting.plots import draw_statistics

        return draw_statistics(self)

    def plot_weeks(self, name: str = "viewing days a living member") -> "Axes":
        """Draw a number of each week: the log (solid) and the fitted world (dashed).

        Args:
            name: of one or more of :attr:`weekly`.

        Raises:
            ValueError: there is no such number.
        """
        from slowfast_rl.fitting.plots import draw_weeks

        return draw_weeks(self, name)

    def to_json(self) -> dict[str, Any]:
        """Return everything as values for JSON."""
        return {
            "verdict": self.verdict,
            "fits": self.fits,
            "base": self.base.name,
            "world_hash": world_hash(self.world),
            "num_members": self.num_members,
            "weeks": self.weeks,
            "objective": self.objective,
            "null": self.null._asdict(),
            "history": list(self.history),
            "parameters": [p._asdict() for p in self.parameters],
            "opt_in": dict(zip(self.world.channels, self.opt_in, strict=True)),
            "combinations": [c._asdict() for c in self.combinations],
            "information": self.information.tolist(),
            "covariance": self.covariance.tolist(),
            "statistics": [s._asdict() for s in self.statistics],
            "weekly": [
                {"name": m.name, "channel": m.channel}
                | {k: _without_nan(getattr(m, k)) for k in ("observed", "simulated")}
                for m in self.weekly
            ],
            "backtest": as_json(list(self.arms)),
            "warnings": self.warnings,
            "settings": self.settings.to_dict(),
            "cpu_seconds": self.cpu_seconds,
        }

    def world_yaml(self) -> str:
        """Return the world's file; a comment gives the interval of each fitted value."""
        comments = {
            p.name: f"fitted, 95 % {p.low:.4g} to {p.high:.4g}; start {p.start:.4g}"
            + ("" if p.identified else "; not told by the log alone")
            for p in self.parameters
        }
        comments |= {
            f"traits.opt_in.{channel}": "fitted, share in the first week of the log"
            for channel in self.world.channels
        }
        tree, groups = tree_from_world(self.world), group_types()
        text = "".join(
            yaml.safe_dump({name: part}, sort_keys=False) if name in groups else _flow(name, part)
            for name, part in tree.items()
        )
        head = f"# Fitted to a log of {self.num_members} members in {self.weeks} weeks.\n"
        return f"{head}# {self.verdict}\n" + _commented(text, comments)

    def __repr__(self) -> str:
        """Return the verdict and the sizes."""
        return (
            f"<Fit of {len(self.parameters)} parameters to {self.num_members} members in "
            f"{self.weeks} weeks, {self.cpu_seconds:.0f} CPU-seconds: {self.verdict}>"
        )


def combinations(
    labels: tuple[str, ...], goodwill: list[int], covariance: Float64, prior_spread: float
) -> tuple[Combination, ...]:
    """Return which products of parameters the log tells best or not at all.

    Args:
        labels: [P] names of the parameters.
        goodwill: indices of those of goodwill, of which one combination is told.
        covariance: [P, P] of the errors of the logs.
        prior_spread: standard deviation of the prior.
    """
    found = []
    if len(goodwill) > 1:
        values, vectors = np.linalg.eigh(covariance[np.ix_(goodwill, goodwill)])
        names = [labels[i] for i in goodwill]
        found.append(_combination(names, vectors[:, 0], values[0], prior_spread, least=0))
    values, vectors = np.linalg.eigh(covariance)
    for value, vector in zip(values[::-1], vectors.T[::-1], strict=True):
        if np.sqrt(value) <= _KNOWN * prior_spread:
            break
        found.append(_combination([*labels], vector, value, prior_spread, _LEAST_WEIGHT))
    return tuple(found)


def _combination(
    names: list[str], vector: Float64, variance: float, prior_spread: float, least: float
) -> Combination:
    vector = vector * np.sign(vector[np.argmax(np.abs(vector))])
    error = float(np.sqrt(variance))
    powers = {n: float(v) for n, v in zip(names, vector, strict=True) if abs(v) >= least}
    return Combination(powers, error, error <= _KNOWN * prior_spread)


def fitted_parameters(
    labels: tuple[str, ...],
    shifted: list[bool],
    start: Float64,
    value: Float64,
    covariance: Float64,
    prior_spread: float,
) -> tuple[FittedParameter, ...]:
    """Return the parameters with their intervals, each in its own unit; arrays are [P]."""
    errors = np.sqrt(np.diag(covariance))
    found = []
    for name, shift, s, v, error in zip(labels, shifted, start, value, errors, strict=True):
        ends = [v + k * Z95 * error if shift else v * np.exp(k * Z95 * error) for k in (-1, 1)]
        low, high = sorted(map(float, ends))
        known = bool(error <= _KNOWN * prior_spread)
        found.append(FittedParameter(name, float(s), float(v), low, high, float(error), known))
    return tuple(found)


def _without_nan(values: Float64) -> list[float | None]:
    """Return numbers for JSON, which has no NaN."""
    return [None if np.isnan(value) else float(value) for value in values]


def _flow(name: str, value: Any) -> str:
    """Return YAML of a value in one line, or of a list of mappings in one line each."""

    def one_line(part: Any) -> str:
        text = yaml.safe_dump(part, default_flow_style=True, sort_keys=False, width=10_000)
        return text.removesuffix("...\n").strip()

    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "".join([f"{name}:\n", *(f"  - {one_line(part)}\n" for part in value)])
    return f"{name}: {one_line(value)}\n"


def _commented(text: str, comments: dict[str, str]) -> str:
    """Return block YAML with comments behind some values, by their dotted path."""
    lines: list[str] = []
    path: list[str] = []
    for line in text.splitlines():
        name, colon, _ = line.strip().partition(":")
        depth = (len(line) - len(line.lstrip())) // 2
        if colon and not name.startswith("-"):
            path = [*path[:depth], name]
            comment = comments.get(".".join(path))
            line += f" # {comment}" if comment else ""
        lines.append(line)
    return "\n".join(lines) + "\n"
