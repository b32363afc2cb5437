"""Trees of arrays and JSON come back as they were."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slowfast_rl.agents.disk import read_arrays, write_arrays
from slowfast_rl.agents.trees import flatten, unflatten

LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text()
    | st.lists(st.integers(-5, 5), max_size=3).map(np.array)
)  # fmt: skip
NAMES = st.text().filter(lambda name: not name.startswith("$"))


@given(st.recursive(LEAVES, lambda t: st.lists(t, max_size=3) | st.dictionaries(NAMES, t)))
def test_a_tree_comes_back_through_json(tree):
    arrays = {}
    node = json.loads(json.dumps(flatten(tree, arrays), allow_nan=False))
    np.testing.assert_equal(unflatten(node, arrays), tree)


def test_something_else_is_refused():
    with pytest.raises(TypeError, match="set is neither an array nor anything that JSON can hold"):
        flatten({"a": [{1}]}, {})
    for key in (1, "$array"):
        with pytest.raises(TypeError, match=r"keys are .*; allowed are texts but"):
            flatten({key: 1}, {})


def test_arrays_come_back_from_a_file_with_their_shapes(tmp_path):
    arrays = {"scalar": np.array(2.5), "one": np.array([3]), "turned": np.eye(3)[:, :2].T}
    write_arrays(tmp_path / "a", arrays, {})
    found, _ = read_arrays(tmp_path / "a")
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].shape == array.shape
