"""Damaged files: truncated, with flipped bits, and with payloads that a pickle would run."""

import pickle  # noqa: TID251  # to plant one, which must not run
from collections.abc import Iterator
from pathlib import Path

import numpy as np


def damaged(content: bytes, number: int, seed: int = 0) -> Iterator[bytes]:
    """Yield a file's content with one flipped bit or without its end, in turns; never unchanged."""
    rng = np.random.default_rng(seed)
    for i in range(number):
        at = int(rng.integers(len(content)))
        if i % 4 == 3:
            yield content[:at]
        else:
            flipped = bytearray(content)
            flipped[at] ^= 1 << int(rng.integers(8))
            yield bytes(flipped)


class Payload:
    """An object whose pickle makes a file when it is loaded."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.file,)


def pickled(value: object) -> bytes:
    """Return a pickle of a value."""
    return pickle.dumps(value)


def payload(file: Path) -> bytes:
    """Return a pickle that makes a file when it is loaded."""
    return pickled(Payload(file))
