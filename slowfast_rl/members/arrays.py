"""Names of the array types in function signatures.

Shapes are written with these letters: N members, C channels, D topics, K candidates, O plans,
B batch, S slots per week, F features.
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

# Integers of any width, Python's or NumPy's, as kernels accept them.
Integer: TypeAlias = int | np.integer[Any]

Float32: TypeAlias = NDArray[np.float32]
Float64: TypeAlias = NDArray[np.float64]
Int8: TypeAlias = NDArray[np.int8]
Int32: TypeAlias = NDArray[np.int32]
Int64: TypeAlias = NDArray[np.int64]
UInt8: TypeAlias = NDArray[np.uint8]
UInt32: TypeAlias = NDArray[np.uint32]
Bool: TypeAlias = NDArray[np.bool_]
