"""The belief filter of the design's page in plain Python, one member at a time, in float64."""

import numpy as np

from slowfast_rl.members.constants import mean_launch_intensity, mean_pick, mean_relevance
from slowfast_rl.members.world import World


class BeliefPage:
    """What is believed of one member; see :meth:`see` for a week and :meth:`told` for signals."""

    def __init__(self, world: World) -> None:
        self.w, law = world, world.traits
        self.channels = range(len(world.channels))
        z, trait = np.linspace(-2.8, 2.8, 16), np.linspace(-2.75, 2.75, 11)
        self.kappa = np.exp(
            law.fatigue_sensitivity_spread * (z - law.fatigue_sensitivity_spread / 2)
        )
        self.weight = np.exp(-(z**2) / 2)
        if law.fatigue_sensitivity_values:
            self.kappa = np.array(law.fatigue_sensitivity_values)
            self.weight = np.array(law.fatigue_sensitivity_shares)
        shares, log_kappa = self.weight / self.weight.sum(), np.log(self.kappa)
        centred = log_kappa - shares @ log_kappa
        self.score = centred / (np.sqrt(shares @ centred**2) or 1)
        self.trait = trait
        factor = np.exp(law.responsiveness_spread * trait - law.responsiveness_spread**2 / 2)
        self.responsiveness = [a * factor for a in law.responsiveness]
        self.propensity = np.exp(law.dismissal_spread * trait - law.dismissal_spread**2 / 2)
        table = np.exp(-(trait[:, None] ** 2) / 2) * np.ones(len(self.kappa))  # [A, J]
        self.response = [table.copy() for _ in self.channels]
        self.dismissal = table.copy()
        self.launches = world.organic.launch_weight * mean_launch_intensity(world)
        self._believe_in_the_law()
        self.goodwill = np.ones(len(self.kappa))
        self.fatigue = np.zeros(len(world.channels))

    def _believe_in_the_law(self) -> None:
        """Base logit and habit before the first week, over members drawn by quantile."""
        law, normal = self.w.traits, np.linspace(-8, 8, 100_001)
        density = np.exp(-(normal**2) / 2) / np.exp(-(normal**2) / 2).sum()
        x = law.base_rate_location + law.base_rate_spread * normal
        x = np.exp(x) if law.base_rate_law == "lognormal" else 1 / (1 + np.exp(-x))
        x = np.clip(x, law.base_rate_low, law.base_rate_high)
        logit = np.log(x / (1 - x)) - self.w.organic.habit_weight * x - self.launches
        self.b = np.full(len(self.kappa), density @ logit)
        self.v = np.full(len(self.kappa), max(density @ (logit - density @ logit) ** 2, 1e-4))
        self.habit = float(density @ x)

    def see(
        self, sends: np.ndarray, opens: np.ndarray, dismissed: np.ndarray, views: float
    ) -> None:
        """Take in one week: [C] sends, opens and dismissals, and viewing days."""
        w, before = self.w, self.habit
        kept = (1 - 1 / w.organic.habit_days) ** 7
        self.habit = before * kept + (1 - kept) * views / 7
        habit, felt = (before + self.habit) / 2, self._mean_fatigue(sends, opens)
        for c in self.channels:
            if sends[c]:
                effective = felt[c] + w.response.cross_channel * (felt.sum() - felt[c])
                self._see_opens(c, self.kappa * effective, habit, opens[c], sends[c])
                unopened = sends[c] - opens[c]
                self._see_dismissals(c, self.kappa * effective, dismissed[c], unopened)
        days = 7 - min(7, opens.sum())
        self._see_views(habit, felt.sum(), days, min(days, max(0, views - opens.sum())))
        loss = sum(w.fatigue.goodwill_loss[c] * (sends[c] - opens[c]) for c in self.channels)
        self.goodwill = self.goodwill * np.exp(-self.kappa * loss)
        self.goodwill = self.goodwill + (1 - self.goodwill) * 7 / w.fatigue.goodwill_days

    def _mean_fatigue(self, sends: np.ndarray, opens: np.ndarray) -> np.ndarray:
        """Each channel's mean over the week, [C]: a day's sends are half there on average."""
        f, means = self.w.fatigue, np.zeros(len(sends))
        relief = 1 - f.relevance_relief * mean_pick(self.w)
        for c in self.channels:
            daily = (sends[c] - opens[c] + f.opened_share * opens[c]) * relief / 7
            for _ in range(7):
                means[c] += (self.fatigue[c] + daily / 2) / 7
                tired = (self.fatigue[c] + daily) * np.exp(-1 / f.decay_days[c])
                self.fatigue[c] = min(tired, f.ceiling)
        return means

    def _see_opens(
        self, c: int, felt: np.ndarray, habit: float, opens: float, sends: float
    ) -> None:
        r = self.w.response
        gap = 7 * self.w.num_topics / sends  # days between two sends of a topic
        wear = 1 - r.wear * 0.5 ** (gap / r.wear_half_life_days)
        gain = mean_pick(self.w) / mean_relevance(self.w) * wear
        gain *= 1 - r.lapsed_loss * np.exp(-r.lapsed_rate * habit)
        p = np.outer(self.responsiveness[c] * gain, np.exp(-r.fatigue_decay[c] * felt))
        p = np.minimum(p, r.ceiling) + r.tap[c] * habit / (self.w.slots_per_week / 7)
        p = np.clip(p, 1e-6, 0.999)
        self.response[c] *= p**opens * (1 - p) ** (sends - opens)
        self.response[c] /= self.response[c].max()

    def _see_dismissals(self, c: int, felt: np.ndarray, dismissed: float, unopened: float) -> None:
        law = self.w.dismissal
        annoyed = np.outer(self.propensity * law.rate[c], 1 - np.exp(-felt))
        chance = 1 - (1 - law.base_rate) * (1 - np.minimum(0.97, annoyed))
        chance = np.clip(chance, 1e-6, 0.999)
        self.dismissal *= chance**dismissed * (1 - chance) ** (unopened - dismissed)
        self.dismissal /= self.dismissal.max()

    def _see_views(self, habit: float, tired: float, days: float, views: float) -> None:
        o = self.w.organic
        known = o.habit_weight * habit + self.launches + o.goodwill_weight * (self.goodwill - 1)
        known = known - o.fatigue_weight * self.kappa * tired
        b = self.b.copy()
        for _ in range(2):
            p = 1 / (1 + np.exp(-b - known))
            gradient = views - days * p - (b - self.b) / self.v
            b += gradient / (days * p * (1 - p) + 1 / self.v)
        p = np.clip(1 / (1 + np.exp(-b - known)), 1e-6, 0.999)
        v = 1 / (days * p * (1 - p) + 1 / self.v)
        self.weight = self.weight * p**views * (1 - p) ** (days - views)
        self.weight *= np.exp(-((b - self.b) ** 2) / (2 * self.v)) * np.sqrt(v / self.v)
        self.weight /= self.weight.max()
        self.b, self.v = b, v

    def told(self) -> dict[str, float]:
        """The signals, by name."""
        tables = [*self.response, self.dismissal]
        weight = self.weight * np.prod([t.sum(axis=0) for t in tables], axis=0)
        weight = weight / weight.sum()
        kappa, goodwill = weight @ self.kappa, weight @ self.goodwill
        score, base = weight @ self.score, weight @ self.b
        told = {f"sensitivity_weight_{j}": share for j, share in enumerate(weight)}
        told |= {
            "sensitivity_score": score,
            "sensitivity_score_sd": np.sqrt(weight @ (self.score - score) ** 2),
            "base_logit": base,
            "base_logit_sd": np.sqrt(weight @ (self.v + (self.b - base) ** 2)),
            "base_rate_alone": 1 / (1 + np.exp(-base)),
            "sensitivity": kappa,
            "log_sensitivity": np.log(kappa),
            "goodwill": goodwill,
            "habit": self.habit,
        }
        for name, table in zip([*self.w.channels, ""], tables, strict=True):
            share = (table / table.sum(axis=0)) @ weight  # [A]
            mean = share @ self.trait
            what = f"{name}_response_score" if name else "dismissal_score"
            told |= {what: mean, f"{what}_sd": np.sqrt(share @ (self.trait - mean) ** 2)}
        r = self.w.response
        for c, name in enumerate(self.w.channels):
            own = self.fatigue[c]
            effective = own + r.cross_channel * (self.fatigue.sum() - own)
            told |= {
                f"{name}_fatigue": own,
                f"{name}_felt_fatigue": kappa * own,
                f"{name}_fatigue_times_log_sensitivity": np.log(kappa) * own,
                f"{name}_response_kept": weight
                @ np.exp(-r.fatigue_decay[c] * self.kappa * effective),
            }
        return {f"belief_{name}": float(value) for name, value in told.items()}
