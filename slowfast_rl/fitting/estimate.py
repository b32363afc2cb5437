"""Find the world whose simulated log has the observed log's statistics, and how sure that is.

The method of simulated moments (McFadden 1989; Pakes and Pollard 1989), with common random numbers
and a normal prior, by Levenberg-Marquardt steps.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from slowfast_rl.fitting.objective import Objective
from slowfast_rl.fitting.settings import FitSettings
from slowfast_rl.members.arrays import Float64

_COARSE_DIFFERENCE, _DIFFERENCE = 0.15, 0.2  # of parameters, for derivatives
_COARSE_DAMPINGS, _DAMPINGS = (0.3, 0.03, 0.003), (0.1, 0.003)
_STRONG_DAMPING = 3.0
_MOST_STEP, MOST_AWAY = 0.5, 2.0  # of a parameter: in a step, and from the base world
_LITTLE = 0.02  # share of the objective; a coarse step that gains less is the last one
_SMALL_STEP = 0.1  # standard errors; a last step that is smaller ends the fit
_DRAWS, _DRAWS_SEED = 20_000, 0  # of the objective under the null hypothesis

Say = Callable[[str], None]


class Estimate(NamedTuple):
    """The fitted vector and what is known about it; N members of the log, n simulated ones."""

    theta: Float64  # [P]
    gap: Float64  # [K] whitened, of n members
    derivatives: tuple[Float64, Float64]  # each [K, P], of independent members
    history: tuple[float, ...]  # objectives after each step


class Null(NamedTuple):
    """The distribution of the objective where the model is right.

    Attributes:
        mean: its mean.
        spread: its standard deviation.
        high: its 95 % quantile.
        probability: of an objective at least as large as the fit's.
    """

    mean: float
    spread: float
    high: float
    probability: float


def estimate(objective: Objective, settings: FitSettings, say: Say) -> Estimate:
    """Return the world that fits best, starting at the base world.

    Args:
        objective: of the observed log.
        settings: of the fit.
        say: is told of each step.
    """
    search = _Search(objective, settings, say)
    search.coarse()
    return search.fine()


class _Search:
    """Levenberg-Marquardt steps, first with few and then with many simulated members."""

    def __init__(self, objective: Objective, settings: FitSettings, say: Say) -> None:
        self.objective, self.settings, self.say = objective, settings, say
        self.num_observed = objective.statistics.num_members
        self.prior = prior_information(settings, self.num_observed)
        self.theta = np.zeros(len(objective.space))
        self.history: list[float] = []
        self.members, self.seed = settings.coarse_members, settings.seed
        self.gap = np.zeros(0)
        self.value = np.inf

    def coarse(self) -> None:
        """Come near with few members, and with derivatives by one-sided differences."""
        self._measure()
        for number in range(self.settings.coarse_steps):
            step = _COARSE_DIFFERENCE if number % 2 == 0 else -_COARSE_DIFFERENCE
            g = self.objective.derivative(self.theta, self.members, self.seed, step, self.gap)
            before = self.value
            moved = self._move(g, _COARSE_DAMPINGS)
            if moved is None:
                moved = self._move(g, (_STRONG_DAMPING,))
            self.say(f"step {number + 1}: objective {self.history[-1]:.0f}")
            if moved is None or before - self.value < _LITTLE * before:
                break

    def fine(self) -> Estimate:
        """Take the last steps with many members and with the mean of two derivatives."""
        s = self.settings
        self.members, self.seed = s.members, s.seed + 1
        self._measure()
        derivatives = self._derivatives()
        self._converge(derivatives)
        self.say(f"last steps: objective {self.history[-1]:.0f}")
        return Estimate(self.theta, self.gap, derivatives, tuple(self.history))

    def _converge(self, derivatives: tuple[Float64, Float64]) -> None:
        """Take steps with these derivatives until they are small or lead nowhere."""
        errors = np.sqrt(np.diag(covariance(derivatives, self.objective, self.settings)))
        for _ in range(self.settings.steps):
            step = self._move(_mean(derivatives), _DAMPINGS)
            if step is None or (np.abs(step) < _SMALL_STEP * errors).all():
                return

    def _derivatives(self) -> tuple[Float64, Float64]:
        n = self.settings.derivative_members
        one, other = (
            self.objective.derivative(self.theta, n, self.settings.seed + k, _DIFFERENCE)
            for k in (2, 3)
        )
        return one, other

    def _measure(self) -> None:
        self.gap = self.objective.gap(self.theta, self.members, self.seed)
        self.value = self._value(self.theta, self.gap)
        self.history.append(self.num_observed * self.value)

    def _value(self, theta: Float64, gap: Float64) -> float:
        return float(gap @ gap + self.prior * theta @ theta)

    def _move(self, derivative: Float64, dampings: tuple[float, ...]) -> Float64 | None:
        """Take the best of the steps with some dampings; return it, or None if all are worse."""
        square = derivative.T @ derivative
        slope = derivative.T @ self.gap + self.prior * self.theta
        identity, scale = np.eye(len(slope)), np.diag(np.diag(square))
        thetas = []
        for damping in dampings:
            step = -np.linalg.solve(square + damping * scale + self.prior * identity, slope)
            step = np.clip(step, -_MOST_STEP, _MOST_STEP)
            thetas.append(np.clip(self.theta + step, -MOST_AWAY, MOST_AWAY))
        gaps = self.objective.gaps(thetas, self.members, self.seed)
        values = [self._value(theta, gap) for theta, gap in zip(thetas, gaps, strict=True)]
        best = int(np.argmin(values))
        if not values[best] < self.value:
            return None
        step = thetas[best] - self.theta
        self.theta, self.gap, self.value = thetas[best], gaps[best], values[best]
        self.history.append(self.num_observed * self.value)
        return np.asarray(step)


def prior_information(settings: FitSettings, num_observed: int) -> float:
    """Return the information of the prior on each parameter, for one member of the log."""
    return 1 / (settings.prior_spread**2 * num_observed)


def information(derivatives: tuple[Float64, Float64]) -> Float64:
    """Return the information of one member on the parameters, without the prior, [P, P].

    The product of two independent derivatives has no bias from their noise; the square of one
    would have, and would promise too narrow intervals.
    """
    one, other = derivatives
    product = (one.T @ other + other.T @ one) / 2
    # Noise may leave negative eigenvalues. They are cut where parameters have comparable units.
    unit = np.sqrt(np.maximum((one**2 + other**2).sum(axis=0) / 2, 1e-30))  # [P]
    values, vectors = np.linalg.eigh(product / np.outer(unit, unit))
    return np.asarray((vectors * np.maximum(values, 0)) @ vectors.T * np.outer(unit, unit))


def covariance(
    derivatives: tuple[Float64, Float64], objective: Objective, settings: FitSettings
) -> Float64:
    """Return the covariance of the error of the fitted vector, [P, P].

    It counts the members of the log, the simulated ones, and the prior: a parameter of which the
    log says nothing has the prior's variance. No direction has more, because a step is only taken
    where it lowers the objective, of which the prior is a part.
    """
    n, prior = _numbers(objective, settings)
    mean = _mean(derivatives)
    bread = np.linalg.inv(information(derivatives) + prior * np.eye(mean.shape[1]))
    noise = mean.T @ _gap_covariance(objective) @ mean * (1 / n + 1 / settings.members)
    from_prior = prior / n * np.eye(mean.shape[1])
    values, vectors = np.linalg.eigh(bread @ (noise + from_prior) @ bread)
    return np.asarray((vectors * np.minimum(values, settings.prior_spread**2)) @ vectors.T)


def null_distribution(found: Estimate, objective: Objective, settings: FitSettings) -> Null:
    """Return how the objective is distributed where the model is right.

    It is a weighted sum of independent chi-squares of one degree of freedom: the weights are those
    of what the fitted parameters leave of the statistics' covariance. It is a little larger where
    that covariance is known from few members.
    """
    n, prior = _numbers(objective, settings)
    mean = _mean(found.derivatives)
    size, identity = mean.shape[1], np.eye(len(mean))
    solve = np.linalg.inv(mean.T @ mean + prior * np.eye(size)) @ mean.T  # [P, K]
    left = identity - mean @ solve
    noise = left @ _gap_covariance(objective) @ left.T * (1 + n / settings.members)
    pulled = mean @ np.linalg.inv(mean.T @ mean + prior * np.eye(size))  # [K, P]
    weights = np.linalg.eigvalsh(noise + prior * pulled @ pulled.T)
    squares = np.random.default_rng(_DRAWS_SEED).chisquare(1, (_DRAWS, len(weights)))
    draws = (1 + len(mean) / (2 * n)) * (squares @ np.maximum(weights, 0))
    value = n * float(found.gap @ found.gap)
    return Null(
        mean=float(draws.mean()),
        spread=float(draws.std()),
        high=float(np.quantile(draws, 0.95)),
        probability=float((draws >= value).mean()),
    )


def _mean(derivatives: tuple[Float64, Float64]) -> Float64:
    """Return the mean of two derivatives, [K, P]."""
    return np.asarray((derivatives[0] + derivatives[1]) / 2)


def _gap_covariance(objective: Objective) -> Float64:
    """Return the covariance of one member's whitened contributions, [K, K]."""
    statistics = objective.statistics
    return np.asarray(statistics.whitening @ statistics.covariance @ statistics.whitening.T)


def _numbers(objective: Objective, settings: FitSettings) -> tuple[int, float]:
    n = objective.statistics.num_members
    return n, prior_information(settings, n)
