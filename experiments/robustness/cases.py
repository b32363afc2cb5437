"""The worlds of the study: shifted ones, and ones whose answer is known."""

from typing import NamedTuple

import slowfast_rl as sf
from slowfast_rl.evaluation.world.findings import changed
from slowfast_rl.evaluation.world.sweeps import CHECK_POPULATION

SCORED = (0, 1)  # lucks; two resolve these differences, four would take twice the time
LIMITS = ("costly", "null", "no_fatigue", "homogeneous", "two_type")
_SCALED = {
    "fatigue half-life × ½": {"fatigue.decay_days": 0.5},
    "fatigue half-life × 2": {"fatigue.decay_days": 2.0},
    "responsiveness × ½": {"traits.responsiveness": 0.5},
    "responsiveness × 2": {"traits.responsiveness": 2.0},
    "message cost × 3": {"reward.message_cost": 3.0},
    "opt-out hazard × 4": {"opt_out.hazard": 4.0},
}


class Case(NamedTuple):
    """A world in which agents act that were trained elsewhere, and on whom they act."""

    name: str
    world: sf.World
    protocol: sf.EvaluationProtocol


def shifted(world: sf.World, members: int, weeks: int) -> list[Case]:
    """Return the training world, the shifted ones, and other members of the former."""
    base = sf.EvaluationProtocol(members, weeks, streams=SCORED)
    others = sf.EvaluationProtocol(
        members,
        weeks,
        population_seed=CHECK_POPULATION,
        luck_seed=CHECK_POPULATION,
        streams=SCORED,
    )
    return [
        Case("as trained", world, base),
        *(Case(n, changed(world, c, scaled=True), base) for n, c in _SCALED.items()),
        Case("another population", world, others),
    ]
