"""float32 exp, log, logistic and inverse normal with the same bits in every driver.

The C library's functions differ between machines and between scalar and vector code. These use only
arithmetic and explicit fused multiply-adds, so vectorising a driver does not change a bit.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from slowfast_rl.members.compile import kernel

ONE = np.float32(1)
TWO = np.float32(2)
HALF = np.float32(0.5)

_LOG2_E = np.float32(1.44269504)
_LN2_HIGH = np.float32(0.693359375)
_LN2_LOW = np.float32(-2.12194440e-4)
_ROUND = np.float32(12582912.0)  # 1.5 * 2^23: adding it rounds a float32 to an integer
_ROUND_BITS = np.int32(0x4B400000)
_EXP_LOW, _EXP_HIGH = np.float32(-87.0), np.float32(88.0)
# Minimax coefficients of exp on |r| <= ln2/2 (Moshier, Cephes expf).
_EXP = tuple(
    np.float32(c)
    for c in (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2,
              1.6666665459e-1, 5.0000001201e-1)
)  # fmt: skip
# log(1 + f) = 2s + s R(s^2), s = f / (2 + f) (FreeBSD msun, single precision).
_LOG = tuple(np.float32(c) for c in (0.66666662693, 0.40000972152, 0.28498786688, 0.24279078841))
_SQRT_HALF_BITS = np.int32(0x3F3504F3)
_ONE_BITS = np.int32(0x3F800000)
_MANTISSA = np.int32(0x007FFFFF)
_SQRT2 = np.float32(1.41421356)
# Giles, "Approximating the erfinv function", GPU Computing Gems 2 (2011), single precision.
_CENTRE = tuple(
    np.float32(c)
    for c in (2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087,
              -0.00125372503, -0.00417768164, 0.246640727, 1.50140941)
)  # fmt: skip
_TAIL = tuple(
    np.float32(c)
    for c in (-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773,
              -0.0076224613, 0.00943887047, 1.00167406, 2.83297682)
)  # fmt: skip
_GILES_SPLIT = np.float32(5)
_GILES_CENTRE = np.float32(2.5)
_GILES_TAIL = np.float32(3)


def _fma(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    """Define a * b + c rounded once, as float32, for numba's typing and code generation."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return types.float32(types.float32, types.float32, types.float32), generate


fma: Callable[[np.float32, np.float32, np.float32], np.float32] = intrinsic(_fma)


@kernel
def exp(x: np.float32) -> np.float32:
    """Return e^x as float32; relative error below 2e-7, x clipped to [-87, 88]."""
    x = _EXP_LOW if x < _EXP_LOW else x
    x = _EXP_HIGH if x > _EXP_HIGH else x
    shifted = fma(x, _LOG2_E, _ROUND)
    power = shifted - _ROUND
    r = fma(power, -_LN2_LOW, fma(power, -_LN2_HIGH, x))
    p = _EXP[0]
    for coefficient in _EXP[1:]:
        p = fma(p, r, coefficient)
    p = fma(p, r * r, r + ONE)
    exponent = np.int32(np.float32(shifted).view(np.int32)) - _ROUND_BITS
    return p * np.float32(np.int32((exponent + np.int32(127)) << np.int32(23)).view(np.float32))


@kernel
def log(x: np.float32) -> np.float32:
    """Return ln x as float32 for a normal x > 0; absolute error below 2e-7 near 1."""
    bits = np.int32(np.float32(x).view(np.int32)) + (_ONE_BITS - _SQRT_HALF_BITS)
    power = np.float32((bits >> np.int32(23)) - np.int32(127))
    mantissa = np.int32((bits & _MANTISSA) + _SQRT_HALF_BITS)
    f = np.float32(mantissa.view(np.float32)) - ONE
    s = f / (TWO + f)
    z = s * s
    r = z * fma(z, fma(z, fma(z, _LOG[3], _LOG[2]), _LOG[1]), _LOG[0])
    half_square = HALF * f * f
    small = fma(s, half_square + r, power * _LN2_LOW)
    return fma(power, _LN2_HIGH, small - half_square + f)


@kernel
def logistic(x: np.float32) -> np.float32:
    """Return 1 / (1 + e^-x) as float32."""
    return ONE / (ONE + exp(-x))


@kernel
def inverse_normal(u: np.float32) -> np.float32:
    """Return the standard normal quantile of u in (0, 1) as float32 (Giles 2011)."""
    x = TWO * u - ONE
    w = -log((ONE - x) * (ONE + x))
    if w < _GILES_SPLIT:  # true for 299 of 300 values
        t, p = w - _GILES_CENTRE, _CENTRE[0]
        for coefficient in _CENTRE[1:]:
            p = fma(p, t, coefficient)
    else:
        t, p = np.float32(np.sqrt(w)) - _GILES_TAIL, _TAIL[0]
        for coefficient in _TAIL[1:]:
            p = fma(p, t, coefficient)
    return _SQRT2 * p * x
