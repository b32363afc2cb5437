"""Write neighbouring columns of a row with one instruction.

numba does not combine neighbouring scalar stores, and a loop over a few columns is not vectorised.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from slowfast_rl.members.arrays import Float32, Integer
from slowfast_rl.members.compile import kernel

_FOUR = ir.VectorType(ir.FloatType(), 4)
SIXTEEN = np.uint64(16)
_FLOAT_BYTES = 4  # the alignment: a row may begin anywhere


def _write_four(
    typing_context: Any, row: Any, k: Any, a: Any, b: Any, c: Any, d: Any, limits: Any
) -> Any:
    """Define the function for numba's typing and code generation."""
    number = types.float32

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        at, values = arguments[1], arguments[2:6]
        place = make_array(row)(context, builder, arguments[0]).data
        bounds = make_array(limits)(context, builder, arguments[6])
        columns = cgutils.unpack_tuple(builder, bounds.shape)[1]

        def four(base: Any, index: Any) -> Any:
            return builder.bitcast(builder.gep(base, [index]), _FOUR.as_pointer())

        value = ir.Constant(_FOUR, ir.Undefined)
        for lane, each in enumerate(values):
            value = builder.insert_element(value, each, ir.Constant(ir.IntType(32), lane))
        low = builder.load(four(bounds.data, at), align=_FLOAT_BYTES)
        high = builder.load(four(bounds.data, builder.add(columns, at)), align=_FLOAT_BYTES)
        value = builder.select(builder.fcmp_ordered("<", value, low), low, value)
        value = builder.select(builder.fcmp_ordered(">", value, high), high, value)
        builder.store(value, four(place, at), align=_FLOAT_BYTES)
        return context.get_dummy_value()

    return types.void(row, types.uint64, number, number, number, number, limits), generate


def _copy_sixteen(typing_context: Any, row: Any, k: Any, source: Any) -> Any:
    """Define the function for numba's typing and code generation."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        target, origin = (
            builder.bitcast(
                builder.gep(make_array(kind)(context, builder, array).data, [arguments[1]]),
                ir.VectorType(ir.FloatType(), 16).as_pointer(),
            )
            for kind, array in ((row, arguments[0]), (source, arguments[2]))
        )
        value = builder.load(origin, align=_FLOAT_BYTES)
        builder.store(value, target, align=_FLOAT_BYTES)
        return context.get_dummy_value()

    return types.void(row, types.uint64, source), generate


#: ``copy_sixteen(row, k, source)`` copies columns k to k + 15 of a row [F] from another one.
copy_sixteen: Callable[..., None] = intrinsic(_copy_sixteen)
#: ``write_four(row, k, a, b, c, d, limits)`` writes four numbers, clipped to their bounds
#: ``limits`` [2, F], to columns k to k + 3 of a row [F].
write_four: Callable[..., None] = intrinsic(_write_four)


@kernel
def write_one(row: Float32, k: Integer, value: np.float32, limits: Float32) -> None:
    """Write a number, clipped to its bounds ``limits`` [2, F], to column k of a row [F]."""
    low, high = limits[np.uint64(0), k], limits[np.uint64(1), k]
    value = low if value < low else value
    row[k] = high if value > high else value
