"""The targets of the world ``calibrated``, where they come from, and what a world makes of them."""

from typing import NamedTuple

import numpy as np

import slowfast_rl as sf
from slowfast_rl.evaluation.statistics import Interval, mean_interval
from slowfast_rl.evaluation.world.calibration import Rates, reported_rates

PLAN = (3, 2)  # under which a company's reports are compared
REPORT_WEEKS = 26
RUN_MEMBERS = 512


class Target(NamedTuple):
    """What one quantity should be, as a share.

    A source that gives one number is met by what rounds to it.
    """

    quantity: str
    low: float
    high: float
    says: str
    source: str

    def met(self, measured: float) -> bool:
        """Whether a measured value lies between the limits."""
        return self.low <= measured <= self.high

    def miss(self, measured: float) -> float:
        """Return the distance from the middle, in half widths; 1 at a limit."""
        return abs(measured - (self.low + self.high) / 2) / ((self.high - self.low) / 2)


SURVEY = "survey about 2016, n=488"
TARGETS = (
    Target("push open rate", 0.04, 0.10, "4–10 %", "Batch 2025: 4.2 % generic, 14.4 % contextual"),
    Target("push opt-in at start", 0.605, 0.615, "61 %", "Batch 2025"),
    Target("email unsubscribe per send", 0.001, 0.0025, ".10–.25 %", "Mailchimp 2019"),
    Target("push opt-out a week, per opted-in member", 0, 0.003, "≤ .3 %", "assumed"),
    Target("churn a month", 0.0175, 0.0185, "1.8 %", "Antenna, Sept 2024"),
    Target("members viewing ≥ 5 days a week", 0.405, 0.415, "41 %", SURVEY),
    Target("members viewing 1–4 days a week", 0.375, 0.385, "38 %", SURVEY),
    Target("members viewing < 1 day a week", 0.195, 0.205, "20 %", SURVEY),
)
LIFT = Target(
    "best plan's lift in viewing over never",
    0.003,
    0.03,
    ".3–3 %",
    "Pinterest 2018, LinkedIn 2022, Duolingo 2020, Twitter 2022",
)


def measured(rates: Rates) -> list[Interval]:
    """Return the measured intervals in the order of the targets."""
    return [
        rates.open_rate[0],
        rates.opt_in[0],
        rates.opt_out_per_send[1],
        rates.opt_out_per_week[0],
        rates.churn_per_month,
        *rates.activity,
    ]


def report(world: sf.World, runs: int, first_seed: int) -> list[Interval]:
    """Return what a world shows of each target, with intervals over runs.

    Every run has members and luck of its own, and so a launch calendar of its own: all members of
    one luck share it, and it moves the viewing of a month by more than a point.
    """
    means = np.array(
        [
            [interval.mean for interval in measured(reported_rates(world, protocol, PLAN))]
            for protocol in (
                sf.EvaluationProtocol(RUN_MEMBERS, REPORT_WEEKS, 0, seed, seed, (0,))
                for seed in range(first_seed, first_seed + runs)
            )
        ]
    )
    return [mean_interval(column) for column in means.T]
