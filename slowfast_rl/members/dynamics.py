"""The equations of the member model, each written once, as pure functions of scalars.

``w`` holds a world's constants, ``c`` is a channel. All numbers are float32. Every driver calls
these functions; none contains an equation of its own.
"""

import numpy as np

from slowfast_rl.members.arrays import Integer
from slowfast_rl.members.compile import kernel
from slowfast_rl.members.constants import Constants
from slowfast_rl.members.numerics import HALF, ONE, exp, logistic
from slowfast_rl.members.random import choose_below, normal


@kernel
def organic_view(
    w: Constants,
    base_logit: np.float32,
    habit: np.float32,
    goodwill: np.float32,
    felt_total: np.float32,
    launch_total: np.float32,
    weekday: Integer,
) -> np.float32:
    """Return the probability of viewing today without a message.

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
def organic_hazard(p_day: np.float32, index_in_day: Integer, slots_in_day: Integer) -> np.float32:
    """Return the probability of an organic view in this slot, given none earlier today.

    o_s = (p_day / n) / (1 - p_day (s - 1) / n) with slots counted from s = 1; index 0 is s = 1.
    """
    share = p_day / np.float32(slots_in_day)
    # Rounding takes the quotient up to 8e-6 above 1 where p_day is 1.
    return min(ONE, share / (ONE - share * np.float32(index_in_day)))


@kernel
def candidate(num_topics: Integer, word: Integer) -> tuple[np.uint32, np.float32]:
    """Return a candidate's topic (uniform) and quality (standard normal) from its random word."""
    topic, rest = choose_below(word, num_topics)
    return topic, normal(rest)


@kernel
def relevance(
    w: Constants, quality: np.float32, taste: np.float32, launch: np.float32
) -> np.float32:
    """Return the relevance r = logistic(q + lambda theta_d + lambda_L L_d + r_0), in (0, 1)."""
    return logistic(
        quality + w.taste_weight * taste + w.launch_weight * launch + w.relevance_intercept
    )


@kernel
def felt_fatigue(
    w: Constants, sensitivity: np.float32, own: np.float32, total: np.float32
) -> np.float32:
    """Return the felt fatigue E_c = kappa (F_c + chi sum over other channels of F)."""
    return sensitivity * (own + w.cross_channel * (total - own))


@kernel
def response(
    w: Constants,
    c: Integer,
    responsiveness: np.float32,
    relevance: np.float32,
    topic_days: np.float32,
    felt: np.float32,
    habit: np.float32,
) -> np.float32:
    """Return the probability that a send causes a view.

    p_m = min(ceiling, A_c r/E[r] wear e^{-k_c E_c} (1 - l e^{-6 H})), wear = 1 - omega
    2^{-days since the topic was sent / half-life}.
    """
    wear = ONE - w.wear * exp(-w.wear_rate * topic_days)
    lapsed = ONE - w.lapsed_loss * exp(-w.lapsed_rate * habit)
    effect = responsiveness * (relevance / w.mean_relevance) * wear * lapsed
    return min(w.response_ceiling, effect * exp(-w.response_decay[c] * felt))


@kernel
def dismissal(w: Constants, c: Integer, propensity: np.float32, felt: np.float32) -> np.float32:
    """Return the probability of dismissing an unopened send.

    1 - (1 - d_0) (1 - min(1, psi d_c (1 - e^{-E_c}))).
    """
    annoyed: np.float32 = min(ONE, propensity * w.dismissal_rate[c] * (ONE - exp(-felt)))
    return ONE - (ONE - w.dismissal_base) * (ONE - annoyed)


@kernel
def opt_out(
    w: Constants, c: Integer, frailty: np.float32, felt: np.float32, relevance: np.float32
) -> np.float32:
    """Return the probability of leaving the channel after an unopened send.

    min(ceiling, h_c phi_c e^{xi_c E_c + zeta (1/2 - r)}).
    """
    log_factor = w.hazard_fatigue[c] * felt + w.hazard_relevance * (HALF - relevance)
    return min(w.hazard_ceiling, w.hazard[c] * frailty * exp(log_factor))


@kernel
def fatigue_after_send(
    w: Constants, fatigue: np.float32, relevance: np.float32, opened: Integer
) -> np.float32:
    """Return the fatigue F_c + (1 - omega_r r) u after a send, at most the ceiling.

    The factor u is ``fatigue.opened_share`` if the send was opened, else 1.
    """
    step = ONE - w.relevance_relief * relevance
    if opened:
        step = step * w.opened_fatigue
    return min(w.fatigue_ceiling, fatigue + step)


@kernel
def goodwill_after_unopened(
    w: Constants, c: Integer, goodwill: np.float32, sensitivity: np.float32
) -> np.float32:
    """Return the goodwill after an unopened send, G e^{-eta_c kappa}."""
    return goodwill * exp(-w.goodwill_loss[c] * sensitivity)


@kernel
def goodwill_after_day(w: Constants, goodwill: np.float32) -> np.float32:
    """Return the goodwill at the end of a day, G + (1 - G) / tau_G."""
    return goodwill + (ONE - goodwill) * w.goodwill_share


@kernel
def habit_after_day(w: Constants, habit: np.float32, viewed: Integer) -> np.float32:
    """Return the habit at the end of a day, H + (viewed - H) / ``organic.habit_days``."""
    return habit + (np.float32(viewed) - habit) * w.habit_share


@kernel
def churn(w: Constants, habit: np.float32) -> np.float32:
    """Return the weekly probability of leaving the service: c_min + c_0 e^{-c_H H}."""
    return w.churn_floor + w.churn_scale * exp(-w.churn_rate * habit)


@kernel
def expected_view(hazard: np.float32, response: np.float32) -> np.float32:
    """Return 1 - (1 - o_s)(1 - p_m), the probability of a first view today in this slot."""
    return ONE - (ONE - hazard) * (ONE - response)
