"""The check of a network's arrays, without the network: it needs no torch."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from slowfast_rl.members.bounds import quoted, shortened

if TYPE_CHECKING:
    from torch import Tensor


def check_weights(arrays: Mapping[str, Any], wanted: Mapping[str, "Tensor | NDArray[Any]"]) -> None:
    """Check the arrays of a network.

    Args:
        arrays: the arrays by name.
        wanted: tensors or arrays with the names and shapes that are needed.

    Raises:
        ValueError: one is missing, unknown, of another shape or type, or not finite.
    """
    for name in sorted({*arrays, *wanted}):
        if name not in arrays or name not in wanted:
            needed = shortened(", ".join(wanted), 200)
            what = "unknown" if name in arrays else "missing"
            raise ValueError(f"weight {shortened(name, 80)} is {what}; needed: {needed}")
        array, shape = arrays[name], tuple(wanted[name].shape)
        if not isinstance(array, np.ndarray):
            raise ValueError(
                f"weight {shortened(name, 80)} is {quoted(array)}; allowed is an array of shape "
                f"{shape}"
            )
        if array.shape != shape or array.dtype != np.float32:
            raise ValueError(
                f"weight {shortened(name, 80)} is {array.dtype} of shape {array.shape}; "
                f"allowed is float32 of shape {shape}"
            )
        if not np.isfinite(array).all():
            raise ValueError(f"weight {shortened(name, 80)} has values that are not finite numbers")
