"""Exact sums of costs: fixed-point numbers of one or two 64-bit limbs.

Floats added in another order give another sum, and a limit is kept or not by the last bit. So
each metric's costs become integers: 61 bits for the largest possible total, and a second limb of
48 bits below those where the costs need it. Arrays have the axes (..., metric, limb).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from mpsearch.allocation.rows import Row

HIGH, LOW = 61, 48
"""Bits of the first limb, for the largest total, and of the second."""
_HALF = LOW // 2
_USUAL = 1000  # powers of two up to here are floats
_HALF_MASK = (1 << _HALF) - 1
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


def carry(values: Ints) -> Ints:
    """Sums of limbs in their normal form: the second limb in its range, the rest in the first."""
    if values.shape[-1] == 1:
        return values
    upper = values[..., 1] >> LOW
    return np.stack([values[..., 0] + upper, values[..., 1] - (upper << LOW)], axis=-1)


def total(values: Ints) -> Ints:
    """The sum of *values* in normal form over their first axis, itself in normal form.

    Halves of the second limb are summed apart: 32768 whole ones would not fit into 64 bits.
    """
    upper = values[..., 0].sum(axis=0)
    if values.shape[-1] == 1:
        return np.asarray(upper[..., None])
    lower = (values[..., 1] & _HALF_MASK).sum(axis=0)
    middle = (values[..., 1] >> _HALF).sum(axis=0) + (lower >> _HALF)
    return np.stack([upper + (middle >> _HALF),
                     ((middle & _HALF_MASK) << _HALF) | (lower & _HALF_MASK)], axis=-1)


def within(values: Ints, limit: Ints) -> Mask:
    """Whether every metric's cost is at most its *limit*; both in normal form."""
    fits = values[..., 0] <= limit[..., 0]
    if values.shape[-1] > 1:
        same = values[..., 0] == limit[..., 0]
        fits &= ~same | (values[..., 1] <= limit[..., 1])
    return np.asarray(fits.all(axis=-1))


def fixed_point(metrics: Sequence[Sequence[Row]], limits: Sequence[float],
                candidates: int) -> tuple[Ints, Ints]:
    """Costs of all *candidates* of all groups in order, and the limits in the same unit.

    A sum is within its limit here exactly if it is as a correctly rounded sum of floats. (Bits
    below 1e-32 of the largest total are rounded up.)
    """
    costs = np.zeros((candidates, len(limits), 2), dtype=np.int64)
    caps = np.zeros((len(limits), 2), dtype=np.int64)
    for metric, (rows, limit) in enumerate(zip(metrics, limits, strict=True)):
        largest = math.fsum(float(np.abs(row).max()) for row in rows)
        shift = HIGH - math.frexp(max(largest, abs(limit)))[1]
        costs[:, metric, 0], costs[:, metric, 1] = split(np.concatenate(rows), shift)
        caps[metric] = divmod(most(limit, shift + LOW), 1 << LOW)
    limbs = 2 if costs[..., 1].any() else 1
    return carry(costs[..., :limbs]), caps[..., :limbs]


def split(values: Row, shift: int) -> tuple[Ints, Ints]:
    """Both limbs of *values* in units of 2 to the minus *shift*; the second may need a carry."""
    scaled = values * 2.0**shift if abs(shift) < _USUAL else np.ldexp(values, shift)
    high = np.floor(scaled)
    low = np.ceil((scaled - high) * 2.0**LOW)
    return high.astype(np.int64), low.astype(np.int64)


def most(limit: float, shift: int) -> int:
    """The largest integer n for which ``n * 2**-shift``, rounded to a float, is within *limit*."""
    above = Fraction(math.nextafter(limit, math.inf))
    half = (Fraction(limit) + above) / 2 * Fraction(2) ** shift
    even = Fraction(limit) / Fraction(math.ulp(limit)) % 2 == 0
    return math.floor(half) if even else math.ceil(half) - 1
