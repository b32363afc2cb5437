"""A population as arrays, to live on in another process exactly where it was left."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slowfast_rl.members.population import Population
from slowfast_rl.members.state import put_rows
from slowfast_rl.members.traits import draw_traits

_PARTS = ("state", "log")


def population_arrays(population: Population) -> dict[str, NDArray[Any]]:
    """Return copies of all that changes over a population's lives; traits follow from members."""
    arrays = {
        f"{part}.{name}": array.copy()
        for part in _PARTS
        for name, array in getattr(population.lives, part)._asdict().items()
    }
    return arrays | {
        "ledger": population.lives.ledger.copy(),
        "first_members": population.first_members.copy(),
        "episodes": population.episodes.copy(),
        "slot": np.array([population.slot]),
    }


def restore_population(population: Population, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Put a population made with the same arguments where another one was left.

    Args:
        population: N members; beliefs, if it keeps any, are not restored.
        arrays: of :func:`population_arrays`.

    Raises:
        ValueError: an array is missing or of another shape or type; then nothing is changed.
    """
    wanted = population_arrays(population)
    for name, array in wanted.items():
        found = arrays.get(name)
        if found is None or found.shape != array.shape or found.dtype != array.dtype:
            what = "missing" if found is None else f"{found.dtype} of shape {found.shape}"
            raise ValueError(f"{name} is {what}; allowed is {array.dtype} of shape {array.shape}")
    lives = population.lives
    for part in _PARTS:
        table = getattr(lives, part)
        put_rows(table, slice(None), type(table)(*(arrays[f"{part}.{n}"] for n in table._fields)))
    lives.ledger[:] = arrays["ledger"]
    population.first_members[:] = arrays["first_members"]
    population.episodes[:] = arrays["episodes"]
    population.slot = int(arrays["slot"][0])
    traits = draw_traits(population.world, population.population_seed, lives.state.member)
    put_rows(lives.traits, slice(None), traits)
