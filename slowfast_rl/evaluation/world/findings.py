"""The headline findings of a world, measured at once: do they survive another world or protocol?

Properties 7 and 8 of the member model ask this of other burn-ins, horizons and populations, and of
worlds without goodwill, fast fatigue or opt-out, or with half or twice a parameter.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from slowfast_rl.evaluation.gap import Gap, personal_gap
from slowfast_rl.evaluation.protocol import EvaluationProtocol
from slowfast_rl.evaluation.statistics import Interval
from slowfast_rl.evaluation.world.confounding import Confounding, confounding
from slowfast_rl.evaluation.world.horizons import Tension, tension
from slowfast_rl.evaluation.world.properties import (
    Best,
    Frequency,
    Groups,
    best_plan,
    by_fifth,
    frequency,
)
from slowfast_rl.evaluation.world.sweeps import sweep
from slowfast_rl.evaluation.world.uplift import Ranking, ranking
from slowfast_rl.members.world import World

LADDER = ((1, 1), (3, 1), (5, 2), (5, 5), (14, 7))  # from rare to frequent
_LOG_LADDER = ((1, 1), (3, 1), (5, 2), (10, 5))  # of the confounded log
_LIGHT, _MODERATE = (1, 1), (3, 2)
_WIDER = 16  # times as many members where a plan or two are lived instead of the whole menu
_EFFECT_WEEKS = 26
_LOG_WEEKS = 8  # that logs need at least to tell members apart

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
    """What is said of a world, and whether it holds."""

    frequency: Frequency
    best: Best  # over the protocol's weeks
    tension: Tension  # one week against the protocol's
    by_sensitivity: Groups
    gap: Gap
    confounding: Confounding
    ranking: Ranking

    @property
    def leads(self) -> dict[str, list[Interval]]:
        """What must lie above 0 for a finding to hold, by its name."""
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
        """Whether each finding holds; None where an interval that decides holds 0."""
        return {name: _verdict(leads) for name, leads in self.leads.items()}


def findings(world: World, protocol: EvaluationProtocol, progress: str | None = None) -> Findings:
    """Measure all findings.

    Args:
        world: the world; its menu holds the plans of ``LADDER``, never and (3, 2).
        protocol: who, after which burn-in, how long (one of the sweep's horizons); three quarters
            of its lucks choose plans, the others score them. Confounding and ranking are measured
            over 26 weeks on sixteen times as many members, after 8 weeks of log or more.
        progress: name for progress bars; None for none.

    Raises:
        ValueError: fewer than four lucks.
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
    """Return a world with some parameters set, or multiplied.

    Args:
        world: the world.
        changes: by dotted name, such as "opt_out.hazard"; on all channels where there are several.
        scaled: whether the numbers are factors.
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
    if all(lead.low > 0 for lead in leads):
        return True
    return False if any(lead.high <= 0 for lead in leads) else None
