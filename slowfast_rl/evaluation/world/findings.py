"""The headline findings about a world, measured together to test their robustness.

Properties 7 and 8 of the member model require that they hold under other burn-ins, horizons and
populations, and in worlds without goodwill, fast fatigue or opt-outs or with parameters halved or
doubled.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from slowfast_rl.evaluation.protocol import EvaluationProtocol
from slowfast_rl.evaluation.statistics import Interval
from slowfast_rl.evaluation.world.confounding import Confounding, confounding
from slowfast_rl.evaluation.world.horizons import Tension, tension
from slowfast_rl.evaluation.world.properties import (
    Best,
    Frequency,
    Gap,
    Groups,
    best_plan,
    by_fifth,
    frequency,
    personal_gap,
)
from slowfast_rl.evaluation.world.sweeps import sweep
from slowfast_rl.evaluation.world.uplift import Ranking, ranking
from slowfast_rl.members.world import World

LADDER = ((1, 1), (3, 1), (5, 2), (5, 5), (14, 7))  # from rare to frequent
_LOG_LADDER = ((1, 1), (3, 1), (5, 2), (10, 5))  # the plans in the confounded log
_LIGHT, _MODERATE = (1, 1), (3, 2)
_WIDER = 16  # factor of the number of members where few plans are simulated
_EFFECT_WEEKS = 26
_LOG_WEEKS = 8  # the least burn-in after which logs distinguish members

SWITCHES: dict[str, dict[str, float]] = {
    "no goodwill": {"fatigue.goodwill_loss": 0},
    "no fast fatigue": {
        "response.fatigue_decay": 0,
        "organic.fatigue_weight": 0,
        "opt_out.fatigue_weight": 0,
    },
    "no opt-out": {"opt_out.hazard": 0},
}
SCALED = (
    "fatigue.goodwill_loss",
    "fatigue.goodwill_days",
    "response.fatigue_decay",
    "opt_out.hazard",
)


class Findings(NamedTuple):
    """The measured findings about a world."""

    frequency: Frequency
    best: Best  # at the horizon of the protocol's weeks
    tension: Tension  # one week against the protocol's weeks
    by_sensitivity: Groups
    gap: Gap
    confounding: Confounding
    ranking: Ranking

    @property
    def leads(self) -> dict[str, list[Interval]]:
        """The intervals that must lie above 0 for a finding to hold, by the finding's name."""
        f, b, c, r = self.frequency, self.best, self.confounding, self.ranking
        logs = (c.viewing, c.retention)
        return {
            "opens fall": [Interval(-s.mean, -s.high, -s.low) for s in f.open_rate_steps],
            "opt-outs rise": f.left_steps,
            "interior": [b.over_never, b.over_maximum],
            "crossover": [self.tension.near_lead, self.tension.far_lead],
            "differs": [self.by_sensitivity.low_lead, self.by_sensitivity.high_lead],
            "gap": [self.gap.gain],
            "confounding": [lead for log in logs for lead in (log.logged, log.overstated)],
            "over-credit": [Interval(0, 0, 0) if r.over_credit is None else r.over_credit],
            "wrong pick": [r.lost],
        }

    @property
    def verdicts(self) -> dict[str, bool | None]:
        """Whether each finding holds; None where that is not significant."""
        return {name: _verdict(leads) for name, leads in self.leads.items()}


def findings(world: World, protocol: EvaluationProtocol, progress: str | None = None) -> Findings:
    """Measure all findings.

    Args:
        world: the world; its menu includes the plans of ``LADDER``, (3, 2), and no messages.
        protocol: the evaluation protocol; its weeks are one of the sweep's horizons. Plans are
            chosen under three quarters of its lucks and scored under the others. Confounding and
            ranking are measured over 26 weeks on sixteen times as many members, after a burn-in of
            8 weeks or more.
        progress: name of the progress bars; None for none.

    Raises:
        ValueError: the protocol has fewer than four lucks.
    """
    lucks = protocol.streams
    if len(lucks) < 4:
        raise ValueError(f"streams is {lucks}; allowed is 4 or more of them")
    cut = 3 * len(lucks) // 4
    chosen = sweep(world, replace(protocol, streams=lucks[:cut]), progress=progress)
    scored = sweep(world, replace(protocol, streams=lucks[cut:]), progress=progress)
    logged = replace(
        protocol,
        num_members=_WIDER * protocol.num_members,
        weeks=_EFFECT_WEEKS,
        burn_in=max(_LOG_WEEKS, protocol.burn_in),
    )
    return Findings(
        frequency(chosen, LADDER),
        best_plan(chosen, protocol.weeks),
        tension(chosen, 1, protocol.weeks),
        by_fifth(chosen, chosen.sensitivity, protocol.weeks, _LIGHT),
        personal_gap(chosen, scored, protocol.weeks),
        confounding(world, logged, _LOG_LADDER),
        ranking(world, logged, _MODERATE),
    )


def changed(world: World, changes: Mapping[str, float], scaled: bool = False) -> World:
    """Return a world with some parameters set or multiplied.

    Args:
        world: the world.
        changes: numbers by dotted parameter name, such as "opt_out.hazard"; a number applies to all
            channels of a parameter.
        scaled: whether the numbers are factors of the present values.
    """
    for name, number in changes.items():
        group, parameter = name.split(".")
        parameters = getattr(world, group)
        old = getattr(parameters, parameter)
        each = old if isinstance(old, tuple) else (old,)
        new = tuple(number * value if scaled else float(number) for value in each)
        value = new if isinstance(old, tuple) else new[0]
        world = replace(world, **{group: replace(parameters, **{parameter: value})})
    return world


def _verdict(leads: list[Interval]) -> bool | None:
    """Return True if all intervals lie above 0, False if one does not reach above 0, else None."""
    if all(lead.low > 0 for lead in leads):
        return True
    return False if any(lead.high <= 0 for lead in leads) else None
