"""Nested mappings of arrays and JSON as a flat table of arrays and one JSON document."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ARRAY = "$array"  # the key of what stands for an array in the JSON
_FLOAT = "$float"  # of what stands for NaN and infinite numbers, which JSON lacks


def flatten(tree: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    """Return a tree as JSON can hold it; its arrays are added to ``arrays``.

    Args:
        tree: mappings with text keys, sequences, arrays, numbers, texts, truth values and None.
        arrays: by the number that stands for each in the result.

    Raises:
        TypeError: the tree holds something else, or a key that is no text.
    """
    if isinstance(tree, np.ndarray):
        arrays[str(len(arrays))] = tree
        return {_ARRAY: len(arrays) - 1}
    if isinstance(tree, Mapping):
        if not all(isinstance(key, str) and key not in (_ARRAY, _FLOAT) for key in tree):
            raise TypeError(f"keys are {list(tree)[:9]}; allowed are texts but {_ARRAY}, {_FLOAT}")
        return {key: flatten(value, arrays) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [flatten(value, arrays) for value in tree]
    if isinstance(tree, np.generic):
        return flatten(tree.item(), arrays)
    if isinstance(tree, float) and not isfinite(tree):
        return {_FLOAT: repr(tree)}
    if tree is None or isinstance(tree, bool | int | float | str):
        return tree
    raise TypeError(f"{type(tree).__name__} is neither an array nor anything that JSON can hold")


def unflatten(node: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    """Return the tree that :func:`flatten` was given; sequences come back as lists.

    Raises:
        KeyError: an array is missing.
    """
    if isinstance(node, dict):
        if set(node) == {_ARRAY}:
            return arrays[str(node[_ARRAY])]
        if set(node) == {_FLOAT}:
            return float(node[_FLOAT])
        return {key: unflatten(value, arrays) for key, value in node.items()}
    if isinstance(node, list):
        return [unflatten(value, arrays) for value in node]
    return node
