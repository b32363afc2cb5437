"""Branches: the same members under the same luck, once per alternative."""

import numpy as np

from slowfast_rl.members.population import Population


def branch(population: Population, copies: int) -> Population:
    """Return a population in which every member appears ``copies`` times in a row, luck included.

    Row ``i * copies + b`` is branch b of row i. What differs between two branches of a member is
    the effect of what was done to them, nothing else.

    Raises:
        ValueError: copies is not at least 1.
    """
    if copies < 1:
        raise ValueError(f"copies is {copies}; allowed is 1 or more")
    return population.take(np.repeat(np.arange(population.num_members), copies))
