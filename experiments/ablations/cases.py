"""The worlds and protocols under which the findings are measured again."""

from typing import NamedTuple

import slowfast_rl as sf
from slowfast_rl.evaluation.world.findings import SCALED, SWITCHES, changed
from slowfast_rl.evaluation.world.sweeps import CHECK_POPULATION

# Fewer plans than the world's own menu, around the same ladder: a third of the time.
MENU = ((0, 1, 3, 5, 7, 14), (0, 1, 2, 5, 7))
WEEKS, BURN_IN = 52, 8


class Case(NamedTuple):
    """One world and one protocol."""

    group: str
    name: str
    world: sf.World
    protocol: sf.EvaluationProtocol


def cases(world: sf.World, members: int, lucks: int) -> list[Case]:
    """Return the base case, other protocols (property 7) and other worlds (property 8)."""

    def protocol(
        weeks: int = WEEKS, burn_in: int = BURN_IN, other: int = 0
    ) -> sf.EvaluationProtocol:
        seed = CHECK_POPULATION + other
        return sf.EvaluationProtocol(members, weeks, burn_in, seed, seed, tuple(range(lucks)))

    base = protocol()
    return [
        Case("base", "base", world, base),
        *(Case("burn-in", f"{w} weeks", world, protocol(burn_in=w)) for w in (0, 26)),
        *(Case("horizon", f"{w} weeks", world, protocol(weeks=w)) for w in (26, 104)),
        *(
            Case("population", str(CHECK_POPULATION + other), world, protocol(other=other))
            for other in (1, 2)
        ),
        *(Case("without", name, changed(world, c), base) for name, c in SWITCHES.items()),
        *(
            Case(name, f"× {factor:g}", changed(world, {name: factor}, scaled=True), base)
            for name in SCALED
            for factor in (0.5, 2)
        ),
    ]
