"""The equations of the member model, each written once, as pure functions of scalars.

``w`` holds a world's constants, ``c`` is a channel. All numbers are float32. Every driver calls
these; none repeats them.
"""

import numpy as np

from slowfast_rl.members.compile import kernel
from slowfast_rl.members.constants import Constants
from slowfast_rl.members.numerics import HALF, ONE, exp, logistic
from slowfast_rl.members.random import choose_below, normal


@kernel
def organic_view(
    w: Constants,
    base_logit: float,
    habit: float,
    goodwill: float,
    felt_total: float,
    launch_total: float,
    weekday: int,
) -> float:
    """Return the probability of viewing unprompted today.

    p_day = logistic(b + B_H H + w_dow + lambda_P sum L + B_G (G - 1) - B_E kappa sum F), where
    ``felt_total`` is kappa sum F.
    """
    return logistic(
        base_logit
        + w.habit_weight * habit
        + w.weekday_effect[weekday]
        + w.organic_launch_weight * launch_total
        + w.goodwill_weight * (goodwill - ONE)
        - w.organic_fatigue_weight * felt_total
    )


@kernel
def organic_hazard(p_day: float, index_in_day: int, slots_in_day: int) -> float:
    """Return the probability of an organic view in this slot, given none earlier today.

    o_s = (p_day / n) / (1 - p_day (s - 1) / n) with slots counted from s = 1; index 0 is s = 1.
    """
    share = p_day / np.float32(slots_in_day)
    return share / (ONE - share * np.float32(index_in_day))


@kernel
def candidate(num_topics: int, word: int) -> tuple[int, float]:
    """Return (topic, quality) of a candidate from its word: uniform topic, quality ~ N(0, 1)."""
    topic, rest = choose_below(word, num_topics)
    return topic, normal(rest)


@kernel
def relevance(w: Constants, quality: float, taste: float, launch: float) -> float:
    """Return r = logistic(q + lambda theta_d + lambda_L L_d + r_0), in (0, 1)."""
    return logistic(
        quality + w.taste_weight * taste + w.launch_weight * launch + w.relevance_intercept
    )


@kernel
def felt_fatigue(w: Constants, sensitivity: float, own: float, total: float) -> float:
    """Return E_c = kappa (F_c + chi sum over other channels of F)."""
    return sensitivity * (own + w.cross_channel * (total - own))


@kernel
def response(
    w: Constants,
    c: int,
    responsiveness: float,
    relevance: float,
    topic_days: float,
    felt: float,
    habit: float,
) -> float:
    """Return the probability that a send causes a view.

    p_m = min(ceiling, A_c r/E[r] wear e^{-k_c E_c} (1 - l e^{-6 H})), wear = 1 - omega
    2^{-days since the topic was sent / half-life}.
    """
    wear = ONE - w.wear * exp(-w.wear_rate * topic_days)
    lapsed = ONE - w.lapsed_loss * exp(-w.lapsed_rate * habit)
    effect = responsiveness * (relevance / w.mean_relevance) * wear * lapsed
    return min(w.response_ceiling, effect * exp(-w.response_decay[c] * felt))


@kernel
def dismissal(w: Constants, c: int, propensity: float, felt: float) -> float:
    """Return the probability of dismissing an unopened send.

    1 - (1 - d_0) (1 - min(1, psi d_c (1 - e^{-E_c}))).
    """
    annoyed = min(ONE, propensity * w.dismissal_rate[c] * (ONE - exp(-felt)))
    return ONE - (ONE - w.dismissal_base) * (ONE - annoyed)


@kernel
def opt_out(w: Constants, c: int, frailty: float, felt: float, relevance: float) -> float:
    """Return the probability of leaving the channel after an unopened send.

    min(ceiling, h_c phi_c e^{xi_c E_c + zeta (1/2 - r)}).
    """
    log_factor = w.hazard_fatigue[c] * felt + w.hazard_relevance * (HALF - relevance)
    return min(w.hazard_ceiling, w.hazard[c] * frailty * exp(log_factor))


@kernel
def fatigue_after_send(w: Constants, fatigue: float, relevance: float, opened: int) -> float:
    """Return F_c + (1 - omega_r r), the step times .4 if opened, at most the ceiling."""
    step = ONE - w.relevance_relief * relevance
    if opened:
        step = step * w.opened_fatigue
    return min(w.fatigue_ceiling, fatigue + step)


@kernel
def goodwill_after_unopened(w: Constants, c: int, goodwill: float, sensitivity: float) -> float:
    """Return G e^{-eta_c kappa}."""
    return goodwill * exp(-w.goodwill_loss[c] * sensitivity)


@kernel
def goodwill_after_day(w: Constants, goodwill: float) -> float:
    """Return G + (1 - G) / tau_G."""
    return goodwill + (ONE - goodwill) * w.goodwill_share


@kernel
def habit_after_day(w: Constants, habit: float, viewed: int) -> float:
    """Return H + (viewed - H) / 14."""
    return habit + (np.float32(viewed) - habit) * w.habit_share


@kernel
def churn(w: Constants, habit: float) -> float:
    """Return the weekly probability of leaving the service: c_min + c_0 e^{-c_H H}."""
    return w.churn_floor + w.churn_scale * exp(-w.churn_rate * habit)


@kernel
def expected_view(hazard: float, response: float) -> float:
    """Return 1 - (1 - o_s)(1 - p_m), the chance of a viewing day where there is none yet."""
    return ONE - (ONE - hazard) * (ONE - response)
