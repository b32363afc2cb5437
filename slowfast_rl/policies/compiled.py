"""Compile a user's ``score`` and ``pace`` into the functions that the fused driver calls."""

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import numba
import numpy as np
from numba.core.dispatcher import Dispatcher

from slowfast_rl.members.opportunity import (
    PACER_SIGNATURE,
    RANKER_SIGNATURE,
    PacerFunction,
    RankerFunction,
)

_OPTIONS = {"nogil": True, "error_model": "numpy"}


@cache
def compile_score(score: Callable[..., Any]) -> RankerFunction:
    """Return a ranker, compiled with ``RANKER_SIGNATURE``, that calls a ``score`` function.

    Raises:
        ValueError: numba cannot compile the function; the message has numba's reason.
    """
    one = _jitted(score)

    def rank(
        opportunity: Any, topics: Any, qualities: Any, log: Any, launches: Any, ranking: Any
    ) -> tuple[int, float]:
        best, best_score = 0, -np.inf
        for j in range(topics.shape[0]):
            topic = topics[j]
            value = float(one(opportunity, topic, qualities[j], launches[topic], log, ranking))
            if value > best_score:
                best, best_score = j + 1, value
        return best, best_score

    ranker: RankerFunction = _compiled(rank, RANKER_SIGNATURE, score)
    return ranker


@cache
def compile_pace(pace: Callable[..., Any]) -> PacerFunction:
    """Return a pacer, compiled with ``PACER_SIGNATURE``, that calls a ``pace`` function.

    Raises:
        ValueError: numba cannot compile the function; the message has numba's reason.
    """
    one = _jitted(pace)

    def paced(opportunity: Any, plan_rows: Any, pacing: Any) -> Any:
        least, wanted, of = one(opportunity, plan_rows, pacing)
        return float(least), np.float32(wanted), np.float32(of)

    pacer: PacerFunction = _compiled(paced, PACER_SIGNATURE, pace)
    return pacer


def _jitted(function: Any) -> Any:
    """Return a function that compiled code can call; one that is jitted already stays as it is."""
    if isinstance(function, Dispatcher):
        return function
    if not inspect.isfunction(function):
        raise ValueError(f"{function!r} is no function; allowed is a static method")
    return numba.njit(function, boundscheck=True, **_OPTIONS)


def _compiled(function: Any, signature: Any, own: Callable[..., Any]) -> Any:
    try:
        return numba.njit(signature, **_OPTIONS)(function)
    except numba.core.errors.NumbaError as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), "")
        raise ValueError(
            f"{getattr(own, 'py_func', own).__qualname__} cannot be compiled by numba; allowed are "
            f"numbers, NumPy arrays and the fields of its arguments: {reason}"
        ) from error
