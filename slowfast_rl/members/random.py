"""Counter-based random numbers: pure functions of seed, stream, member, time, draw and domain.

The generator is Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC
2011). Its key is (seed, stream), its counter is (member, time, draw, domain). Hence a member's
simulation is the same in every batch, shard, process and driver, and a clone continues identically.
"""

from enum import IntEnum

import numpy as np

from slowfast_rl.members.arrays import Float32, Int64, Integer, UInt32
from slowfast_rl.members.bounds import whole_number
from slowfast_rl.members.compile import driver, kernel
from slowfast_rl.members.numerics import inverse_normal


class Domain(IntEnum):
    """The purpose of a random number, the last word of the counter. Never renumber.

    Numbers of two domains are independent even if seed, stream, member and time agree. So no policy
    shares random numbers with the world. In each domain, the comment says what the other arguments
    of :func:`draw` are; where it names no seed and stream, these are the luck seed and luck stream.
    Weeks, days and slots are counted from the beginning of the member's episode.
    """

    TRAIT = 0  # seed: population seed; stream: 0; time: channel or topic; draw: 4 * trait
    LAUNCH = 1  # stream: 0; member: 0; time: calendar week; draw: 8 * launch, and 8 * launch + 1
    DAY = 2  # time: day; the organic view
    WEEK = 3  # time: week; draw: 0 for churn, 1 + channel for opting in again
    CANDIDATE = 4  # time: slot; draw: candidate, from 0
    OUTCOME = 5  # time: slot; draws: response, tap, dismissal, opt-out
    PACER = 6  # time: slot; a policy outside a population: seed: its own, time: minute
    RANKER = 7  # time: slot; reserved for rankers of users, no ranker here uses it
    EXPLORATION = 8  # seed: a policy's or a training's; stream: an `ExplorationStream`
    BURN_IN = 9  # seed: the burn-in's; stream: the caller's; time: week
    ARM = 10  # seed: salt of a factorial test; stream: its level; time: 0


class ExplorationStream(IntEnum):
    """The streams of :attr:`Domain.EXPLORATION`, by their use. Never renumber.

    Two streams have two uses each, whose numbers are the same where seed, member and time agree.
    The second name is an alias, so that the sharing is visible here; use a free number (10 or
    above) for a new use.

    Stream 0: ``RANDOM_PLANS`` chooses a plan in week t; ``RANDOM_SENDS`` a send in slot t (in logs
    from which rankers learn) or a plan in week t (from which the bid-price pacer learns how scores
    are distributed). Stream 3: ``MIXED_PLANS`` decides in week t whether a slow learner's plan is
    random; ``WARM_UP_SENDS`` chooses a fast learner's send in slot t before training. No function
    uses both names of a stream, but a slow and a fast learner with the same seed explore with the
    same numbers. The numbers are kept so that earlier results can be reproduced.
    """

    RANDOM_PLANS = 0  # member, time: week
    DEALT_PLANS = 1  # member, time: week; which member receives which plan
    TRAINING_ROLLOUTS = 2  # member: 0, time: rollout; the random state of PyTorch and NumPy
    MIXED_PLANS = 3  # member, time: week; whether a random plan replaces the planner's
    TURNS = 4  # member: 0, time: turn of a level, from 1; the seed of the turn
    RANDOM_RUNGS = 5  # member, time: 0 whether the send rate is random, 1 which one
    RANDOM_DECISIONS = 6  # member, time: slot; draws from an exploring executor's probabilities
    LOGGED_PLANS = 7  # member, time: week; whether a recorded plan is random, and how long it holds
    RESAMPLED_PLANS = 8  # member, time: week; which member of a log has the plans, in a fit
    LOG_ROWS = 9  # member, time: of a row of a log; whether a fit that uses only some uses it
    RANDOM_SENDS = RANDOM_PLANS  # member, time: slot (bid prices: week, for a plan)
    WARM_UP_SENDS = MIXED_PLANS  # member: row of the environment, time: slot


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
    """Check that seeds, streams and ids, given by name, are whole numbers to ``LARGEST_SEED``.

    Raises:
        ValueError: one of them is no whole number, or outside.
    """
    for name, value in seeds.items():
        whole_number(name, value, 0, LARGEST_SEED)


@kernel
def philox(
    key0: Integer, key1: Integer, c0: Integer, c1: Integer, c2: Integer, c3: Integer
) -> tuple[np.uint32, np.uint32, np.uint32, np.uint32]:
    """Return the four uint32 words of Philox4x32-10 for a 64-bit key and a 128-bit counter."""
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
    """Return a float32 in [0, 1) from a word's 24 high bits; ``uniform < p`` has probability p."""
    return np.float32(np.uint32(word) >> np.uint32(8)) * _INVERSE_2_24


def uniforms(words: UInt32) -> Float32:
    """Return :func:`uniform` of each of B words, [B]."""
    return (words >> 8).astype(np.float32) * _INVERSE_2_24


@kernel
def normal(word: Integer) -> np.float32:
    """Return a finite standard normal float32 from a word's 23 high bits."""
    open_unit = (np.float32(np.uint32(word) >> np.uint32(9)) + _HALF) * _INVERSE_2_23
    return inverse_normal(open_unit)


@kernel
def lane(words: tuple[np.uint32, np.uint32, np.uint32, np.uint32], number: Integer) -> np.uint32:
    """Return words[number] without a variable tuple index, which numba compiles slowly."""
    low = words[1] if number & 1 else words[0]
    high = words[3] if number & 1 else words[2]
    return high if number & 2 else low


@kernel
def draw(
    seed: Integer, stream: Integer, member: Integer, time: Integer, number: Integer, domain: Integer
) -> np.uint32:
    """Return the random word of draw ``number``; draws 4k to 4k + 3 share one Philox block."""
    return lane(philox(seed, stream, member, time, number >> 2, domain), number & 3)


@kernel
def choose_below(word: Integer, count: Integer) -> tuple[np.uint32, np.uint32]:
    """Return a uniform integer below ``count`` and the remaining randomness as another word."""
    product = np.uint64(word) * np.uint64(count)
    return np.uint32(product >> _32), np.uint32(product & _LOW)


@driver()
def _fill_words(
    words: UInt32, seed: int, stream: int, members: Int64, times: Int64, domain: int
) -> None:
    for i in range(words.shape[0]):
        words[i] = draw(seed, stream, members[i], times[i], 0, domain)


def random_words(seed: int, stream: int, members: Int64, times: Int64, domain: Domain) -> UInt32:
    """Return one random uint32 word per member and time, [B].

    Args:
        seed: 0 to 2^32 - 1.
        stream: an independent stream under that seed; in ``Domain.EXPLORATION`` an
            `ExplorationStream`.
        members: [B] ids.
        times: [B] weeks or slots.
        domain: the purpose of the numbers.
    """
    words = np.empty(len(members), np.uint32)
    _fill_words(words, seed, int(stream), members, times, int(domain))
    return words
