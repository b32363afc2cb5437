"""Philox against its published vectors, and what is made of its words."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slowfast_rl.members.random import (
    ExplorationStream,
    choose_below,
    draw,
    lane,
    normal,
    philox,
    uniform,
)

WORD = st.integers(0, 2**32 - 1)

# Random123's kat_vectors, philox4x32 with 10 rounds: counter, key, result.
KNOWN_ANSWERS = {
    "zeros": (
        (0x00000000, 0x00000000, 0x00000000, 0x00000000),
        (0x00000000, 0x00000000),
        (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8),
    ),
    "ones": (
        (0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF),
        (0xFFFFFFFF, 0xFFFFFFFF),
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    "pi": (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
}


def words(*arguments: int) -> tuple[int, ...]:
    return tuple(int(w) for w in philox(*arguments))


def plain_philox(key: tuple[int, int], counter: tuple[int, int, int, int]) -> tuple[int, ...]:
    """Philox4x32-10 as the paper states it, on Python's integers."""
    (k0, k1), (c0, c1, c2, c3) = key, counter
    for _ in range(10):
        first, second = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1 = (second >> 32) ^ c1 ^ k0, second & 0xFFFFFFFF
        c2, c3 = (first >> 32) ^ c3 ^ k1, first & 0xFFFFFFFF
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return c0, c1, c2, c3


@pytest.mark.parametrize("case", KNOWN_ANSWERS)
def test_philox_gives_the_published_known_answers(case: str) -> None:
    counter, key, answer = KNOWN_ANSWERS[case]
    assert words(*key, *counter) == answer


@given(st.tuples(WORD, WORD), st.tuples(WORD, WORD, WORD, WORD))
def test_philox_agrees_with_plain_integers(
    key: tuple[int, int], counter: tuple[int, int, int, int]
) -> None:
    assert words(*key, *counter) == plain_philox(key, counter)


@given(WORD, WORD, WORD, WORD, st.integers(0, 1000), st.integers(0, 9))
def test_four_successive_draws_share_one_philox_call(
    seed: int, stream: int, member: int, time: int, number: int, domain: int
) -> None:
    block = words(seed, stream, member, time, number // 4, domain)
    assert draw(seed, stream, member, time, number, domain) == block[number % 4]


@pytest.mark.parametrize("changed", range(6))
def test_a_draw_depends_on_each_of_who_when_and_what_for(changed: int) -> None:
    arguments = [3, 1, 41, 59, 2, 6]
    before = draw(*arguments)
    arguments[changed] += 1
    assert draw(*arguments) != before


@pytest.mark.parametrize("number", range(4))
def test_lane_picks_the_numbered_word(number: int) -> None:
    four = tuple(np.uint32(w) for w in (10, 11, 12, 13))
    assert lane(four, number) == 10 + number


@given(WORD)
def test_a_uniform_is_the_words_high_bits_below_one(word: int) -> None:
    u = float(uniform(np.uint32(word)))
    assert u == (word >> 8) / 2**24
    assert 0 <= u < 1


@given(WORD)
def test_a_normal_is_finite_and_rises_with_its_word(word: int) -> None:
    z = float(normal(np.uint32(word)))
    assert abs(z) < 5.5
    assert z <= float(normal(np.uint32(min(word + 2**12, 2**32 - 1))))


@given(WORD, st.integers(1, 255))
def test_choose_below_splits_a_word_into_a_choice_and_a_remainder(word: int, count: int) -> None:
    choice, rest = choose_below(np.uint32(word), count)
    assert int(choice) * 2**32 + int(rest) == word * count
    assert 0 <= choice < count


def test_uniforms_and_normals_have_the_right_moments() -> None:
    drawn = [draw(7, 0, member, 0, 0, 2) for member in range(40_000)]
    u = np.array([uniform(w) for w in drawn])
    z = np.array([normal(w) for w in drawn])
    assert u.mean() == pytest.approx(1 / 2, abs=4 * 12**-0.5 / 200)
    assert u.var() == pytest.approx(1 / 12, abs=4 * 180**-0.5 / 200)
    assert z.mean() == pytest.approx(0, abs=4 / 200)
    assert z.var() == pytest.approx(1, abs=4 * 2**0.5 / 200)


def test_exploration_streams_share_a_number_only_where_documented() -> None:
    streams = ExplorationStream.__members__.items()
    aliases = {name: stream.name for name, stream in streams if name != stream.name}
    assert aliases == {"RANDOM_SENDS": "RANDOM_PLANS", "WARM_UP_SENDS": "MIXED_PLANS"}
    numbers = [stream.value for stream in ExplorationStream]
    assert numbers == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]  # results depend on them
