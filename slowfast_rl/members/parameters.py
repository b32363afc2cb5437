"""The parameters of a world: one frozen dataclass per subject, whose fields have text and bounds.

Fields typed ``PerChannel`` hold one number per channel, in the order of ``World.channels``. The
equations that use them are in ``dynamics``; values and their sources in ``configs/world/*.yaml``.
"""

import re
from dataclasses import Field, dataclass
from inspect import getdoc
from typing import Annotated, Any, TypeAlias

from slowfast_rl.members.bounds import (
    bounded,
    check_bounds,
    described,
    positive,
    probability,
    quoted,
    rate,
)

PerChannel: TypeAlias = Annotated[tuple[float, ...], "one number per channel"]

# The bounds are far beyond any service, and keep every number of the simulation finite in float32.
_LOG_SPREAD = 5  # of the log of a trait: one member in six has e^5 times the median
_LOG_WEIGHT = 100  # logits, or log hazard or log response, per unit: e^100 is certainty
_LOGITS = 20  # a probability of 2e-9
_MOST_DAYS = 100_000  # 270 years
_LEAST_DAYS = 0.01  # a quarter of an hour
_LARGEST_REWARD = 1e6  # viewing days, 2,700 years


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """Base class of parameter groups: checks the declared bounds of an instance's fields."""

    def __init_subclass__(cls) -> None:
        """Document the fields."""
        declared = {name: value for name, value in vars(cls).items() if isinstance(value, Field)}
        lines = [f"    {name}: {value.metadata['text']}." for name, value in declared.items()]
        cls.__doc__ = "\n".join([f"{getdoc(cls)}\n", "Attributes:", *lines])

    def __post_init__(self) -> None:
        """Check bounds."""
        check_bounds(self, group_name(type(self)))


@dataclass(frozen=True, kw_only=True)
class TraitDistributions(Parameters):
    """Distributions of the fixed, hidden traits of members."""

    base_rate_law: str = described(
        "distribution of the base viewing rate x, 'lognormal' or 'logitnormal'"
    )
    base_rate_location: float = bounded(
        "mean of ln x or of logit x (log or logit of views per day)", -_LOGITS, _LOGITS
    )
    base_rate_spread: float = rate("standard deviation of ln x or of logit x", 10)
    base_rate_low: float = bounded("lower bound to which x is clipped (views per day)", 0, 1)
    base_rate_high: float = bounded(
        "upper bound to which x is clipped (views per day)", 0, 1, above=True
    )
    responsiveness: PerChannel = probability(
        "mean causal response probability per channel (per send)"
    )
    responsiveness_spread: float = rate("standard deviation of log responsiveness", _LOG_SPREAD)
    responsiveness_slope: float = bounded(
        "exponent of (typical rate / x) in the responsiveness (no unit)", -10, 10
    )
    fatigue_sensitivity_spread: float = rate(
        "standard deviation of log fatigue sensitivity; its mean is 1", _LOG_SPREAD
    )
    fatigue_sensitivity_values: tuple[float, ...] = rate(
        "discrete sensitivities that replace the lognormal, or empty", 1000
    )
    fatigue_sensitivity_shares: tuple[float, ...] = probability(
        "shares of members with those values, adding up to 1"
    )
    dismissal_spread: float = rate(
        "standard deviation of log dismissal propensity; its mean is 1", _LOG_SPREAD
    )
    opt_in: PerChannel = probability("share of members opted in at the start, per channel")

    def __post_init__(self) -> None:
        """Check bounds, the distribution's name and that values and shares fit together."""
        super().__post_init__()
        if self.base_rate_law not in ("lognormal", "logitnormal"):
            raise ValueError(
                f"traits.base_rate_law is {quoted(self.base_rate_law)}; allowed: lognormal, "
                "logitnormal"
            )
        if self.base_rate_low > self.base_rate_high:
            raise ValueError(
                f"traits.base_rate_low is {self.base_rate_low:g}; allowed is at most "
                f"base_rate_high = {self.base_rate_high:g}"
            )
        shares = self.fatigue_sensitivity_shares
        if len(self.fatigue_sensitivity_values) != len(shares):
            raise ValueError(
                f"traits.fatigue_sensitivity_shares is {quoted(shares)}; one share per value is "
                "needed"
            )
        if shares and abs(sum(shares) - 1) > 1e-6:
            raise ValueError(
                f"traits.fatigue_sensitivity_shares is {quoted(shares)}; they must add up to 1"
            )


@dataclass(frozen=True, kw_only=True)
class Organic(Parameters):
    """Viewing without a message (weights in logits per unit)."""

    habit_weight: float = bounded("per unit of habit", -_LOG_WEIGHT, _LOG_WEIGHT)
    launch_weight: float = bounded("per unit of total launch intensity", -_LOG_WEIGHT, _LOG_WEIGHT)
    goodwill_weight: float = bounded("per unit of lost goodwill", -_LOG_WEIGHT, _LOG_WEIGHT)
    fatigue_weight: float = bounded("per felt effective send", -_LOG_WEIGHT, _LOG_WEIGHT)
    weekday_effect: tuple[float, ...] = bounded(
        "seven numbers from Monday, in logits, adding up to 0", -_LOGITS, _LOGITS
    )
    habit_days: float = bounded(
        "time constant of habit, an exponential average of viewing (days)", 1, _MOST_DAYS
    )

    def __post_init__(self) -> None:
        """Check bounds and the seven weekdays."""
        super().__post_init__()
        if len(self.weekday_effect) != 7 or abs(sum(self.weekday_effect)) > 1e-6:
            raise ValueError(
                f"organic.weekday_effect is {quoted(self.weekday_effect)}; "
                "seven numbers adding up to 0 are needed"
            )


@dataclass(frozen=True, kw_only=True)
class Launches(Parameters):
    """The shared calendar of title launches."""

    per_week: float = bounded("mean number of launches over all topics (per week)", 0, 100)
    half_life_days: float = bounded(
        "days in which a launch's intensity halves", _LEAST_DAYS, _MOST_DAYS
    )
    flag_threshold: float = positive(
        "intensity at which candidates of a topic get the launch flag", 1e6
    )


@dataclass(frozen=True, kw_only=True)
class Response(Parameters):
    """Relevance of a candidate and the causal response to a send."""

    taste_weight: float = bounded(
        "logits of relevance per unit of the member's taste for the topic", -_LOGITS, _LOGITS
    )
    launch_weight: float = bounded(
        "logits of relevance per unit of launch intensity", -_LOG_WEIGHT, _LOG_WEIGHT
    )
    intercept: float = bounded("logit of relevance of an average candidate", -_LOGITS, _LOGITS)
    wear: float = probability("share of response lost right after the topic was sent")
    wear_half_life_days: float = bounded("days in which wear halves", _LEAST_DAYS, _MOST_DAYS)
    fatigue_decay: PerChannel = rate(
        "log response lost per felt effective send, per channel", _LOG_WEIGHT
    )
    cross_channel: float = rate("share of other channels' fatigue that is felt", 10)
    lapsed_loss: float = probability("share of response lost by a member without habit")
    lapsed_rate: float = rate("how fast that loss falls with habit (per unit of habit)", 1000)
    ceiling: float = probability("largest response probability")
    tap: PerChannel = probability(
        "probability that an organic viewer opens a message in the same slot, per channel"
    )


@dataclass(frozen=True, kw_only=True)
class Fatigue(Parameters):
    """Fatigue, which changes in days, and goodwill, which changes in weeks."""

    decay_days: PerChannel = bounded(
        "days in which fatigue falls by a factor e, per channel", _LEAST_DAYS, _MOST_DAYS
    )
    ceiling: float = positive("largest fatigue (effective sends)", 1e6)
    relevance_relief: float = probability("share of a send's fatigue that full relevance removes")
    opened_share: float = probability("fatigue of an opened send relative to an unopened one")
    goodwill_loss: PerChannel = rate(
        "log goodwill lost per unopened send at sensitivity 1, per channel", _LOG_WEIGHT
    )
    goodwill_days: float = bounded("days in which lost goodwill falls by a factor e", 1, _MOST_DAYS)


@dataclass(frozen=True, kw_only=True)
class OptOut(Parameters):
    """Opting out of a channel and opting in again."""

    hazard: PerChannel = probability("probability per unopened send at no fatigue, per channel")
    fatigue_weight: PerChannel = rate(
        "log hazard per felt effective send, per channel", _LOG_WEIGHT
    )
    relevance_weight: float = bounded(
        "log hazard per unit of relevance below 1/2", -_LOG_WEIGHT, _LOG_WEIGHT
    )
    ceiling: float = probability("largest probability per send")
    return_rate: PerChannel = probability("probability of opting in again, per channel (per week)")


@dataclass(frozen=True, kw_only=True)
class Churn(Parameters):
    """Leaving the service, decided at the end of each week."""

    floor: float = probability("probability that habit cannot lower (per week)")
    scale: float = probability("further probability at no habit (per week)")
    habit_rate: float = rate("how fast that part falls with habit (per unit of habit)", 1000)

    def __post_init__(self) -> None:
        """Check bounds, and that the probability at no habit is one."""
        super().__post_init__()
        if self.floor + self.scale > 1:
            raise ValueError(
                f"churn.scale is {self.scale:g}; allowed is at most 1 - floor = {1 - self.floor:g}"
            )


@dataclass(frozen=True, kw_only=True)
class Dismissal(Parameters):
    """Swiping a message away, the clearest sign of annoyance in the log."""

    base_rate: float = probability("probability without any fatigue (per unopened send)")
    rate: PerChannel = rate(
        "further probability at full fatigue and propensity 1, per channel", 100
    )


@dataclass(frozen=True, kw_only=True)
class Reward(Parameters):
    """Weights of the utility, in viewing days."""

    viewing_day: float = bounded("value of a viewing day", -_LARGEST_REWARD, _LARGEST_REWARD)
    causal_open: float = bounded("value of a response to a send", -_LARGEST_REWARD, _LARGEST_REWARD)
    message_cost: float = rate("cost of a send", _LARGEST_REWARD)
    opt_out: float = rate("cost of an opt-out", _LARGEST_REWARD)
    churn: float = rate("cost of a churn", _LARGEST_REWARD)
    weekly_discount: float = probability("discount factor of the return per week, 0 to 1")


def group_name(group: type) -> str:
    """Return a group's name in YAML, such as "opt_out" for OptOut."""
    if group is TraitDistributions:
        return "traits"  # the class name differs, as MemberTraits are the traits themselves
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", group.__name__).lower()


def group_types() -> dict[str, Any]:
    """Return the parameter groups of a world by their name in YAML."""
    return {group_name(group): group for group in Parameters.__subclasses__()}
