"""Random numbers are uniform, and independent over seeds, streams, members, times and draws."""

import numpy as np
import pytest
from scipy.stats import kstest, norm

from slowfast_rl.members.random import philox
from tests.members.random_battery import BATTERY, SIZE, orders

LEAST = 1e-6  # of a p-value: the words are always the same, so a test fails for good or never


@pytest.mark.parametrize("order", orders())
def test_words_pass_every_statistical_test_in_every_order(order):
    words = orders()[order]()
    found = {test.__name__: test(words) for test in BATTERY}
    assert min(found.values()) > LEAST, found


@pytest.mark.parametrize("order", orders())
def test_words_of_neighbours_are_independent(order):
    words = orders()[order]()
    differ = np.bitwise_xor(words, np.roll(words, 1))
    tests = [t for t in BATTERY if t.__name__ != "neighbours_are_not_correlated"]
    found = {test.__name__: test(differ) for test in tests}
    assert min(found.values()) > LEAST, found


def test_p_values_are_uniform_over_tests_and_orders():
    values = [test(make()) for make in orders(SIZE).values() for test in BATTERY]
    assert kstest(values, "uniform").pvalue > 1e-4


def test_every_bit_of_key_and_counter_changes_every_bit_of_a_word_half_of_the_time():
    rng, inputs = np.random.default_rng(0), 2000
    changed = np.zeros((192, 128))
    for given in rng.integers(0, 2**32, (inputs, 6)).tolist():
        before = np.array(philox(*given), np.uint32)
        for bit in range(192):
            other = given.copy()
            other[bit // 32] ^= 1 << bit % 32
            flipped = before ^ np.array(philox(*other), np.uint32)
            changed[bit] += np.unpackbits(flipped.view(np.uint8))
    z = (2 * changed - inputs) / np.sqrt(inputs)
    assert np.abs(z).max() < norm.isf(LEAST / z.size / 2)
    assert abs((z**2).mean() - 1) < 6 * np.sqrt(2 / z.size)


def congruential(size):
    """A linear congruential generator, whose low bits repeat."""
    found, state = np.empty(size, np.uint32), 1
    for i in range(size):
        state = (1664525 * state + 1013904223) % 2**32
        found[i] = state
    return found


def biased(size):
    """Fair words, but the lowest bit is 1 in one word of fifty whatever was drawn."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 2**32, size, np.uint32) | (rng.random(size) < 0.02).astype(np.uint32)


def repeated(size):
    """Fair words, each of which comes twice."""
    return np.repeat(np.random.default_rng(0).integers(0, 2**32, size // 2, np.uint32), 2)


@pytest.mark.parametrize("make", [congruential, biased, repeated])
def test_poor_generators_fail(make):
    words = make(SIZE)
    assert min(test(words) for test in BATTERY) < LEAST


def test_each_test_passes_fair_words_of_another_generator_and_fails_some_poor_ones():
    fair = np.random.default_rng(1).integers(0, 2**32, SIZE, np.uint32)
    poor = [congruential(SIZE), biased(SIZE), repeated(SIZE), np.arange(SIZE, dtype=np.uint32)]
    for test in BATTERY:
        assert test(fair) > LEAST
        assert min(test(words) for words in poor) < LEAST, test.__name__
