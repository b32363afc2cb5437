"""Statistical tests of random words, each of which returns a p-value, and the words that it gets.

The tests are classics: Knuth, "The Art of Computer Programming" 2, 3.3; Marsaglia's Diehard (1995);
NIST SP 800-22. ``make test-generator`` feeds the same words to Dieharder, which asks for more of
them.
"""

import sys
from collections.abc import Callable

import numba
import numpy as np
from scipy.stats import chi2, norm, poisson

from slowfast_rl.members.random import Domain, draw

Words = np.ndarray  # of uint32
SIZE = 2**19  # words of a sequence
_WEEKS, _OPPORTUNITIES = 104, 21


@numba.njit
def _fill(words, seeds, streams, members, times, draws, domains):
    for i in range(len(words)):
        words[i] = draw(seeds[i], streams[i], members[i], times[i], draws[i], domains[i])


def words_of(**varied: np.ndarray) -> Words:
    """Return the words whose named arguments vary; the others are those of an ordinary draw."""
    usual = {"seed": 17, "stream": 1, "member": 5, "time": 40, "draw": 0, "domain": 5}
    size = len(next(iter(varied.values())))
    found = np.empty(size, np.uint32)
    _fill(
        found, *(np.broadcast_to(varied.get(n, v), size).astype(np.int64) for n, v in usual.items())
    )
    return found


def orders(first: int = 0, size: int = SIZE) -> dict[str, Callable[[], Words]]:
    """Return sequences of words by the argument that changes fastest.

    Args:
        first: the first value of that argument.
        size: number of words.
    """
    i = np.arange(first, first + size)
    slots = _WEEKS * _OPPORTUNITIES
    domains = len(Domain)
    return {
        "seeds": lambda: words_of(seed=i),
        "streams": lambda: words_of(stream=i),
        "members": lambda: words_of(member=i),
        "times": lambda: words_of(time=i),
        "draws": lambda: words_of(draw=i),
        "domains": lambda: words_of(domain=i % domains, member=i // domains),
        "slots of a member": lambda: words_of(time=i % slots, member=i // slots),
        "members of a slot": lambda: words_of(member=i % 4096, time=i // 4096),
        "draws of a slot": lambda: words_of(
            draw=i % 4, time=i // 4 % slots, member=i // 4 // slots
        ),
        "far members": lambda: words_of(member=i * 4096 % 2**32),
    }


def bits(words: Words) -> np.ndarray:
    """Return the bits of words, [B, 32] of 0 and 1."""
    return np.unpackbits(words.astype(">u4").view(np.uint8)).reshape(-1, 32)


def of_counts(counts: np.ndarray, expected: np.ndarray | float) -> float:
    """Return the p-value of Pearson's test; two-sided, because too even is not random either."""
    statistic = ((counts - expected) ** 2 / expected).sum()
    return two_sided(chi2.cdf(statistic, np.size(counts) - 1))


def two_sided(below: float) -> float:
    """Return the two-sided p-value of a statistic's distribution function."""
    return float(2 * min(below, 1 - below))


def each_bit_is_fair(words: Words) -> float:
    ones = bits(words).sum(axis=0, dtype=np.int64)
    z = (2 * ones - len(words)) / np.sqrt(len(words))
    return two_sided(chi2.cdf((z**2).sum(), 32))


def bytes_are_uniform(words: Words) -> float:
    return of_counts(np.bincount(words.view(np.uint8), minlength=256), len(words) * 4 / 256)


def _pairs(values: np.ndarray) -> float:
    first, second = values[::2].astype(np.int64), values[1::2].astype(np.int64)
    return of_counts(np.bincount(first * 256 + second, minlength=65536), len(first) / 65536)


def pairs_of_high_bytes_are_uniform(words: Words) -> float:
    return _pairs(words >> 24)


def pairs_of_low_bytes_are_uniform(words: Words) -> float:
    return _pairs(words & 255)


def neighbours_are_not_correlated(words: Words) -> float:
    u = (words + 0.5) / 2**32 - 0.5
    lags = [1, 2, 3, 4, 5, 7, 8, 16, 21, 32, 64, 104, 256, 1024, 2184, 4096]
    z = [12 * (u[:-k] * u[k:]).sum() / np.sqrt(len(u) - k) for k in lags]
    return two_sided(chi2.cdf(np.square(z).sum(), len(lags)))


def orders_of_five_are_uniform(words: Words) -> float:
    fives = words[: len(words) // 5 * 5].reshape(-1, 5)
    ranks = fives.argsort(axis=1).argsort(axis=1)
    number = ranks @ 5 ** np.arange(5)
    counts = np.unique(number, return_counts=True)[1]
    assert len(counts) <= 120
    return of_counts(np.append(counts, np.zeros(120 - len(counts))), len(fives) / 120)


def birthdays_are_spaced_at_random(words: Words) -> float:
    days = np.sort(words.reshape(-1, 4096), axis=1)  # 4,096 birthdays, 2^32 days
    spacings = np.sort(np.diff(days, axis=1), axis=1)
    equal = int((np.diff(spacings, axis=1) == 0).sum())
    mean = len(days) * 4096**3 / 2**34
    return float(min(1, 2 * min(poisson.cdf(equal, mean), poisson.sf(equal - 1, mean))))


def cells_are_filled_at_random(words: Words) -> float:
    cells = 2**20
    empty = cells - len(np.unique(words >> 12))
    load = len(words) / cells
    variance = cells * np.exp(-2 * load) * (np.exp(load) - 1 - load)
    return two_sided(norm.cdf((empty - cells * np.exp(-load)) / np.sqrt(variance)))


def numbers_of_ones_are_independent(words: Words) -> float:
    weight = np.minimum(np.maximum(bits(words).sum(axis=1).astype(np.int64), 11), 21) - 11
    binomial = np.array([float(np.prod([(32 - j) / (j + 1) for j in range(k)])) for k in range(33)])
    binomial /= 2.0**32
    share = np.concatenate([[binomial[:12].sum()], binomial[12:21], [binomial[21:].sum()]])
    counts = np.bincount(weight[::2] * 11 + weight[1::2], minlength=121)
    return of_counts(counts, np.outer(share, share).ravel() * (len(words) // 2))


@numba.njit
def _ranks(words):
    found = np.zeros(33, np.int64)
    for m in range(len(words) // 32):
        rows, rank = words[32 * m : 32 * m + 32].copy(), 0
        for bit in range(32):
            for r in range(rank, 32):
                if rows[r] >> np.uint32(bit) & np.uint32(1):
                    rows[r], rows[rank] = rows[rank], rows[r]
                    for other in range(rank + 1, 32):
                        if rows[other] >> np.uint32(bit) & np.uint32(1):
                            rows[other] ^= rows[rank]
                    rank += 1
                    break
        found[rank] += 1
    return found


def matrices_have_random_ranks(words: Words) -> float:
    full = np.prod(1 - 0.5 ** np.arange(1, 33))
    one_less = 2 * full * (1 - 0.5**32)
    ranks = _ranks(words)
    counts = np.array([ranks[32], ranks[31], ranks[:31].sum()])
    return of_counts(counts, np.array([full, one_less, 1 - full - one_less]) * counts.sum())


def no_frequency_stands_out(words: Words) -> float:
    signs = 2.0 * (words >> 31) - 1
    power = np.abs(np.fft.rfft(signs)[1:-1]) ** 2 / len(signs)  # exponential with mean 1
    largest = power.max()
    return two_sided((1 - np.exp(-largest)) ** len(power))


BATTERY: tuple[Callable[[Words], float], ...] = (
    each_bit_is_fair,
    bytes_are_uniform,
    pairs_of_high_bytes_are_uniform,
    pairs_of_low_bytes_are_uniform,
    neighbours_are_not_correlated,
    orders_of_five_are_uniform,
    birthdays_are_spaced_at_random,
    cells_are_filled_at_random,
    numbers_of_ones_are_independent,
    matrices_have_random_ranks,
    no_frequency_stands_out,
)


if __name__ == "__main__":  # words of an order for Dieharder, without end
    name, start = sys.argv[1], 0
    try:
        while True:
            sys.stdout.buffer.write(orders(start)[name]().tobytes())
            start += SIZE
    except BrokenPipeError:
        sys.stderr.close()
