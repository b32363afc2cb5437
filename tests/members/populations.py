"""Populations under test, and what it means that two live the same life."""

import numpy as np

from slowfast_rl.members.population import Population
from tests.members.worlds import world

WEEKS = 3


def population(name: str = "eventful", num_members: int = 40, **arguments: int) -> Population:
    return Population(world(name), num_members, **({"luck_seed": 6} | arguments))


def arrays(population: Population) -> dict[str, np.ndarray]:
    """Everything that differs between members."""
    simulation = population.simulation
    found = {"ledger": simulation.ledger}
    for part in (simulation.state, simulation.log, simulation.traits):
        found |= {f"{type(part).__name__}.{n}": a for n, a in part._asdict().items()}
    return found


def check_same(one: Population, other: Population, rows: object = slice(None)) -> None:
    """Bit for bit: one's rows are other's members."""
    for name, values in arrays(one).items():
        assert np.array_equal(values[rows], arrays(other)[name]), name


def differs(one: Population, other: Population) -> bool:
    pairs = zip(arrays(one).values(), arrays(other).values(), strict=True)
    return any(not np.array_equal(a, b) for a, b in pairs)
