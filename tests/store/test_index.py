"""The index finds slots in a table or a sorted list, and the caller cannot tell which."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from slowfast_rl.store.index import _MIN_SPAN, NOBODY, EntityIndex


@pytest.mark.parametrize("base", [0, 5, 10**9, 2**63 - 5000])
def test_a_range_of_ids_is_held_in_a_table(base: int) -> None:
    index = EntityIndex()
    ids = np.arange(base, base + 4096)
    slots = index.claim(ids)
    assert type(index._lookup).__name__ == "_Table"
    assert sorted(slots) == list(range(1, 4097))
    assert_array_equal(index.find(ids), slots)
    assert_array_equal(index.find(np.array([2**63 - 1, base + 4096])), [NOBODY, NOBODY])


def test_a_table_grows_into_a_sorted_list_and_back_and_keeps_every_slot() -> None:
    index = EntityIndex()
    near, far = np.arange(100, 200), np.array([2**62, 2**50])
    slots = {"near": index.claim(near), "far": index.claim(far)}
    assert type(index._lookup).__name__ == "_SortedList"
    assert_array_equal(index.find(near), slots["near"])
    assert_array_equal(index.find(far), slots["far"])
    assert index.release(far) == 2
    late = index.claim(np.array([50]))
    assert type(index._lookup).__name__ == "_Table"
    assert late[0] in slots["far"]
    assert_array_equal(index.find(near), slots["near"])
    assert_array_equal(index.find(far), [NOBODY, NOBODY])


@pytest.mark.parametrize("stride", [4096, 10**12])
def test_members_that_come_and_go_reuse_slots_and_memory(stride: int) -> None:
    index = EntityIndex()
    for episode in range(200):
        ids = np.arange(4096) + episode * stride
        assert index.claim(ids).max() <= 2 * 4096
        assert index.release(ids - stride if episode else ids[:0]) == (4096 if episode else 0)
    assert index.end <= 2 * 4096 + 1
    assert len(index._lookup._slots) <= 4 * (_MIN_SPAN + 8 * 4096)


def test_claims_in_falling_order_and_in_pieces_keep_every_slot() -> None:
    index = EntityIndex()
    ids = np.random.default_rng(0).permutation(3_000_000)[:3000]
    slots = np.concatenate([index.claim(piece) for piece in np.split(ids, 30)])
    assert len(set(slots)) == 3000
    assert_array_equal(index.find(ids), slots)
    assert_array_equal(index.claim(ids[::-1]), slots[::-1])
    held, held_slots = index.items()
    assert_array_equal(held, np.sort(ids))
    assert_array_equal(held_slots, slots[np.argsort(ids)])


def test_releasing_repeats_and_strangers_counts_only_what_was_there() -> None:
    index = EntityIndex()
    index.claim(np.array([1, 2, 3]))
    assert index.release(np.array([2, 2, 77])) == 1
    fresh = index.claim(np.array([8, 9]))
    assert fresh[0] != fresh[1]
    assert len(set(index.find(np.array([1, 3, 8, 9])))) == 4
