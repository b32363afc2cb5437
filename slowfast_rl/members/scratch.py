"""Arrays on the stack of a compiled function, for blocks of members.

A loop over members is vectorised only if the compiler knows that what it stores does not overlap
what it reads. It knows that of arrays that the function itself holds, not of its arguments.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array

#: The number of members that are simulated together. Their arrays stay in the fastest cache.
BLOCK = 256

_CACHE_LINE = 64  # bytes


def _array(context: Any, builder: Any, kind: Any, data: Any, shape: list[Any]) -> Any:
    """Return a C-contiguous numba array of a type over memory that it does not own."""
    size = context.get_constant(
        types.intp, context.get_abi_sizeof(context.get_data_type(kind.dtype))
    )
    strides: list[Any] = []
    step = size
    for length in reversed(shape):
        strides.insert(0, step)
        step = builder.mul(step, length)
    array = make_array(kind)(context, builder)
    populate_array(array, data=data, shape=shape, strides=strides, itemsize=size, meminfo=None)
    return array._getvalue()


def _lane(dtype: Any) -> Callable[[], Any]:
    """Return a function for kernels that makes an array [BLOCK]; its content is undefined."""

    def make(typing_context: Any) -> Any:
        kind = types.Array(dtype, 1, "C")

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            room = ir.ArrayType(context.get_data_type(dtype), BLOCK)
            with builder.goto_entry_block():  # so that a loop uses the same memory each time
                place = builder.alloca(room)
            place.align = _CACHE_LINE
            data = builder.bitcast(place, context.get_data_type(dtype).as_pointer())
            return _array(context, builder, kind, data, [context.get_constant(types.intp, BLOCK)])

        return kind(), generate

    made: Callable[[], Any] = intrinsic(make)
    return made


def _room(dtype: Any) -> Callable[[int], Any]:
    """Return a function for kernels that makes an array [size].

    A function must call it outside of loops, as the memory is freed only when it returns.
    """

    def make(typing_context: Any, size: Any) -> Any:
        kind = types.Array(dtype, 1, "C")

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            data = builder.alloca(context.get_data_type(dtype), size=arguments[0])
            data.align = _CACHE_LINE
            return _array(context, builder, kind, data, [arguments[0]])

        return kind(types.int64), generate

    made: Callable[[int], Any] = intrinsic(make)
    return made


def _lanes(dtype: Any) -> Callable[[int], Any]:
    """Return a function for kernels that makes an array [rows, BLOCK].

    A function must call it outside of loops, as the memory is freed only when it returns.
    """

    def make(typing_context: Any, rows: Any) -> Any:
        kind = types.Array(dtype, 2, "C")

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            block = context.get_constant(types.intp, BLOCK)
            data = builder.alloca(
                context.get_data_type(dtype), size=builder.mul(arguments[0], block)
            )
            data.align = _CACHE_LINE
            return _array(context, builder, kind, data, [arguments[0], block])

        return kind(types.int64), generate

    made: Callable[[int], Any] = intrinsic(make)
    return made


float_lane, double_lane = _lane(types.float32), _lane(types.float64)
byte_lane = _lane(types.uint8)
int_lane, word_lane = _lane(types.int32), _lane(types.uint32)
float_room, word_room = _room(types.float32), _room(types.uint32)
double_room = _room(types.float64)
float_lanes, word_lanes = _lanes(types.float32), _lanes(types.uint32)
