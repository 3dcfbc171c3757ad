"""Where the integers of a tensor lie: their scale, and the range they are proven to stay in."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import torch

from mpsearch.core.errors import BadInput

_TYPES = {8: torch.int8, 16: torch.int16, 32: torch.int32, 64: torch.int64}
FINEST = 24
"""Binary places of the finest scale that is chosen freely: finer ones would only cost room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A tensor's numbers are *scale* times whole numbers from *low* to *high*, both included.

    The scale is an exact fraction above 0. The range is proven, not observed: it follows from the
    ranges of what the tensor is computed from, and holds for every input.

    Raises:
        BadInput: the scale is not above 0, the range is empty, or it needs more than 64 bits.
    """

    scale: Fraction
    low: int
    high: int

    def __post_init__(self) -> None:
        if self.scale <= 0 or self.low > self.high or self.bits > max(_TYPES):
            raise BadInput(f"no integers of at most 64 bits from {self.low} to {self.high} times "
                           f"{float(self.scale):g}")

    @property
    def magnitude(self) -> int:
        """The largest absolute value of the integers."""
        return max(abs(self.low), abs(self.high))

    @property
    def reach(self) -> Fraction:
        """The largest absolute value of the numbers they stand for."""
        return self.magnitude * self.scale

    @property
    def bits(self) -> int:
        """Width of the two's complement integers, sign included."""
        return max(self.high.bit_length(), (-self.low - 1).bit_length()) + 1

    @property
    def dtype(self) -> torch.dtype:
        """The narrowest type of torch that holds them."""
        return next(dtype for bits, dtype in _TYPES.items() if self.bits <= bits)


def power_of_two(reach: Fraction, bits: int, finest: int = FINEST) -> Fraction:
    """The smallest power of two, from 2**-finest on, at which *reach* fits in so many *bits*.

    One step is left at either end, for a number that is rounded up to it.
    """
    limit = Fraction((1 << (bits - 1)) - 2)
    if not reach:
        return Fraction(2) ** -finest
    return Fraction(2) ** -min(_floor_log2(limit / reach), finest)


def _floor_log2(ratio: Fraction) -> int:
    guess = ratio.numerator.bit_length() - ratio.denominator.bit_length()
    return guess - 1 if Fraction(2) ** guess > ratio else guess
