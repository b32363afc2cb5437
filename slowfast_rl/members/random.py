"""Counter-based randomness: every uniform is a pure function of who, when and what for.

Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), keyed by
(seed, stream), counts (member, time, draw, domain). Hence a member lives the same life in any
batch, shard, worker or driver, and a clone continues identically.
"""

from enum import IntEnum

import numpy as np

from slowfast_rl.members.arrays import Int64, Integer, UInt32
from slowfast_rl.members.compile import driver, kernel
from slowfast_rl.members.numerics import inverse_normal


class Domain(IntEnum):
    """What a random number is for; policies' coins never share one with the world."""

    TRAIT = 0  # time: channel or topic, draw: which trait; keyed by the population seed
    LAUNCH = 1  # time: week; keyed by the luck seed alone, no member
    DAY = 2  # time: day
    WEEK = 3  # time: week
    CANDIDATE = 4  # time: slot
    OUTCOME = 5  # time: slot
    PACER = 6  # time: slot
    RANKER = 7  # time: slot
    EXPLORATION = 8  # time: week or slot
    BURN_IN = 9  # time: week
    ARM = 10  # draw: level of a factorial test; keyed by its salt


CANDIDATE, OUTCOME, DAY, WEEK = (
    int(d) for d in (Domain.CANDIDATE, Domain.OUTCOME, Domain.DAY, Domain.WEEK)
)
TRAIT, PACER, RANKER = int(Domain.TRAIT), int(Domain.PACER), int(Domain.RANKER)

LARGEST_SEED = 2**32 - 1
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint32(0x9E3779B9), np.uint32(0xBB67AE85)
_32 = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)
_INVERSE_2_24 = np.float32(2.0**-24)
_INVERSE_2_23 = np.float32(2.0**-23)
_HALF = np.float32(0.5)


def check_seeds(**seeds: int) -> None:
    """Pass seeds, streams and ids from 0 to the largest, each under its name.

    Raises:
        ValueError: one is outside.
    """
    for name, value in seeds.items():
        if not 0 <= value <= LARGEST_SEED:
            raise ValueError(f"{name} is {value}; allowed is 0 to {LARGEST_SEED}")


@kernel
def philox(
    key0: Integer, key1: Integer, c0: Integer, c1: Integer, c2: Integer, c3: Integer
) -> tuple[np.uint32, np.uint32, np.uint32, np.uint32]:
    """Return four random uint32 words of a 64-bit key and a 128-bit counter, in 10 rounds."""
    k0, k1 = np.uint32(key0), np.uint32(key1)
    x0, x1, x2, x3 = np.uint32(c0), np.uint32(c1), np.uint32(c2), np.uint32(c3)
    for _ in range(10):
        product0 = _M0 * np.uint64(x0)
        product1 = _M1 * np.uint64(x2)
        x0 = np.uint32(product1 >> _32) ^ x1 ^ k0
        x2 = np.uint32(product0 >> _32) ^ x3 ^ k1
        x1 = np.uint32(product1 & _LOW)
        x3 = np.uint32(product0 & _LOW)
        k0 = np.uint32(k0 + _W0)
        k1 = np.uint32(k1 + _W1)
    return x0, x1, x2, x3


@kernel
def uniform(word: Integer) -> np.float32:
    """Map a word to a float32 in [0, 1) by its 24 high bits; compare it as ``uniform < p``."""
    return np.float32(np.uint32(word) >> np.uint32(8)) * _INVERSE_2_24


@kernel
def normal(word: Integer) -> np.float32:
    """Map a word to a standard normal float32 by its 23 high bits, never infinite."""
    open_unit = (np.float32(np.uint32(word) >> np.uint32(9)) + _HALF) * _INVERSE_2_23
    return inverse_normal(open_unit)


@kernel
def lane(words: tuple[np.uint32, np.uint32, np.uint32, np.uint32], number: Integer) -> np.uint32:
    """Return words[number]; numba indexes tuples by constants best."""
    low = words[1] if number & 1 else words[0]
    high = words[3] if number & 1 else words[2]
    return high if number & 2 else low


@kernel
def draw(
    seed: Integer, stream: Integer, member: Integer, time: Integer, number: Integer, domain: Integer
) -> np.uint32:
    """Return draw ``number`` at ``time``; four successive numbers share one Philox call."""
    return lane(philox(seed, stream, member, time, number >> 2, domain), number & 3)


@kernel
def choose_below(word: Integer, count: Integer) -> tuple[np.uint32, np.uint32]:
    """Split a word into a uniform integer below ``count`` and a fresh word (the remainder)."""
    product = np.uint64(word) * np.uint64(count)
    return np.uint32(product >> _32), np.uint32(product & _LOW)


@driver()
def _fill_words(
    words: UInt32, seed: int, stream: int, members: Int64, times: Int64, domain: int
) -> None:
    for i in range(words.shape[0]):
        words[i] = draw(seed, stream, members[i], times[i], 0, domain)


def random_words(seed: int, stream: int, members: Int64, times: Int64, domain: Domain) -> UInt32:
    """Return one random word per member and time, [B]: a policy's coins.

    Args:
        seed: 0 to 2^32 - 1.
        stream: an independent stream under that seed.
        members: [B] ids.
        times: [B] weeks or slots.
        domain: what the coins are for.
    """
    words = np.empty(len(members), np.uint32)
    _fill_words(words, seed, stream, members, times, int(domain))
    return words
