"""The member model's equations in NumPy, written from its page and not from the library.

Tests compare the library with them in float64; ``numpy_members`` simulates with them in float32.
Letters are the page's: x, A, kappa, phi, psi, theta are traits; H, F, G, O the state; channel c,
topic d. A world's parameters come as its YAML file names them. Arguments may be arrays, and results
have their precision.
"""

from typing import Any

import numpy as np

from slowfast_rl.members.world import World

Number = Any  # a float or an array of them


def sigma(x: Number) -> Number:
    """Return the logistic function of x."""
    return 1 / (1 + np.exp(-x))


def normal_mean(values: Any) -> float:
    """Return E f(z) for standard normal z and a smooth f, by Gauss and Hermite."""
    z, weight = np.polynomial.hermite_e.hermegauss(120)
    return float(weight @ values(z) / np.sqrt(2 * np.pi))


class Equations:
    """The transition of one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        response = world.response
        spread = np.sqrt(1 + response.taste_weight**2)
        # E[r] = E sigma(N(r_0, sqrt(1 + lambda^2)))
        self.mean_r = normal_mean(lambda z: sigma(response.intercept + spread * z))

    def p_day(
        self, b: Number, H: Number, G: Number, kappa: Number, F: Number, L: Number, weekday: int
    ) -> Number:
        """Return the probability of an organic view (1); F and L are totals."""
        organic = self.world.organic
        return sigma(
            b
            + organic.habit_weight * H
            + organic.weekday_effect[weekday]
            + organic.launch_weight * L
            + organic.goodwill_weight * (G - 1)
            - organic.fatigue_weight * kappa * F
        )

    def hazard(self, p_day: Number, s: int, n: int) -> Number:
        """Return o_s of slot s = 1..n, not yet viewed (1)."""
        return (p_day / n) / (1 - p_day * (s - 1) / n)

    def relevance(self, q: Number, theta: Number, L: Number) -> Number:
        """Return r (2); L is the topic's launch intensity."""
        response = self.world.response
        return sigma(
            q + response.taste_weight * theta + response.launch_weight * L + response.intercept
        )

    def felt(self, kappa: Number, own: Number, others: Number) -> Number:
        """Return E_c, of the channel's own fatigue and the sum of the others'."""
        return kappa * (own + self.world.response.cross_channel * others)

    def response(self, c: int, A: Number, r: Number, days: Number, E: Number, H: Number) -> Number:
        """Return p_m of a send (3); days since the topic was sent, infinity for never."""
        w = self.world.response
        wear = 1 - w.wear * 0.5 ** (days / w.wear_half_life_days)
        lapsed = 1 - w.lapsed_loss * np.exp(-w.lapsed_rate * H)
        p = A * (r / self.mean_r) * wear * np.exp(-w.fatigue_decay[c] * E) * lapsed
        return np.minimum(w.ceiling, p)

    def dismissal(self, c: int, psi: Number, E: Number) -> Number:
        """Return the probability of dismissing an unopened send (5)."""
        w = self.world.dismissal
        felt = np.minimum(1, psi * w.rate[c] * (1 - np.exp(-E)))
        return 1 - (1 - w.base_rate) * (1 - felt)

    def fatigue_after_send(self, F: Number, r: Number, opened: Number) -> Number:
        """Return F after a send (6): plus 1 - omega_r r, less if opened, up to F_max."""
        w = self.world.fatigue
        added = 1 - w.relevance_relief * r
        return np.minimum(w.ceiling, F + np.where(opened, added * w.opened_share, added))

    def fatigue_after_day(self, c: int, F: Number) -> Number:
        """Return F after a day's decay (6)."""
        return F * np.exp(-1 / self.world.fatigue.decay_days[c])

    def goodwill_after_unopened(self, c: int, G: Number, kappa: Number) -> Number:
        """Return G after an unopened send (7)."""
        return G * np.exp(-self.world.fatigue.goodwill_loss[c] * kappa)

    def goodwill_after_day(self, G: Number) -> Number:
        """Return G after a day (7)."""
        return G + (1 - G) / self.world.fatigue.goodwill_days

    def opt_out(self, c: int, phi: Number, E: Number, r: Number) -> Number:
        """Return the probability of opting out after an unopened send (8)."""
        w = self.world.opt_out
        log_factor = w.fatigue_weight[c] * E + w.relevance_weight * (0.5 - r)
        return np.minimum(w.ceiling, w.hazard[c] * phi * np.exp(log_factor))

    def habit_after_day(self, H: Number, viewed: Number) -> Number:
        """Return H after a day (9)."""
        return H + (viewed - H) / self.world.organic.habit_days

    def churn(self, H: Number) -> Number:
        """Return the probability of churn at the end of a week (10)."""
        w = self.world.churn
        return w.floor + w.scale * np.exp(-w.habit_rate * H)

    def expected_view(self, hazard: Number, p_m: Number) -> Number:
        """Return the probability of a view in a slot, where there is none yet that day."""
        return 1 - (1 - hazard) * (1 - p_m)

    def base_logit(self, x: Number) -> Number:
        """Return b of a base rate x: a member left alone settles near it."""
        organic, launches = self.world.organic, self.world.launches
        mean_launch = (launches.per_week / 7) / (1 - 2 ** (-1 / launches.half_life_days))
        logit = np.log(x / (1 - x))
        return logit - organic.habit_weight * x - organic.launch_weight * mean_launch
