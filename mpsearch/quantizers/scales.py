"""The scales that a format can store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

# The largest start scale lies in [2**14, 2**15) units: fp16 ends at 65504, so that a rule may
# still double it, and 38 octaves are left for smaller slices, 28 of them at full precision.
_TOP_BINADE = 14
_LARGEST = 65504.0
_SMALLEST = 2.0**-24
# A float32 holds every fp16 number times these powers of two: 2**-24 * 2**-125 is its smallest.
_EXPONENTS = (-125, 112)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleGrid:
    """Scales counted in *unit*, a power of two for each slice (float64 [S, 1]).

    Stored scales are fp16 numbers of units, and all slices of a tensor have the same unit.
    Scales that are computed at run time are any float32, and every slice has its own unit.
    Working in units keeps squares of very small and very large weights inside float32, and
    makes every rule exactly equivariant under scaling by a power of two.
    """

    unit: Tensor
    stored: bool

    @classmethod
    def around(cls, scale: Tensor, *, stored: bool) -> Self:
        """The grid on which the largest of *scale* (float64 [S, 1], above 0) has its place."""
        largest = scale.max().expand_as(scale) if stored else scale
        exponent = floor_log2(largest) - _TOP_BINADE
        return cls(unit=power_of_two(exponent.clamp(*_EXPONENTS)), stored=stored)

    def rows(self, rows: slice | Tensor) -> ScaleGrid:
        """The grid of some of the slices."""
        return ScaleGrid(unit=self.unit[rows], stored=self.stored)

    def to_units(self, x: Tensor) -> Tensor:
        """*x* in units, as float32; exact, save for numbers far below the smallest scale."""
        return x.float() * self.unit.reciprocal().float()

    def from_units(self, scale: Tensor) -> Tensor:
        """A scale in units as the float32 number it is; exact."""
        return (scale * self.unit).float()

    def nearest(self, scale: Tensor) -> Tensor:
        """The scale on the grid that is nearest to *scale*; units, float32 [S, 1]."""
        inside = scale.float().clamp(_SMALLEST, _LARGEST)
        return inside.half().float() if self.stored else inside

    def at_least(self, scale: Tensor) -> Tensor:
        """The smallest scale on the grid that is not below *scale*; units, float32 [S, 1]."""
        near = self.nearest(scale)
        if not self.stored:
            return near
        # The bits of positive fp16 numbers, read as integers, are in the order of the numbers.
        above = (near.half().view(torch.int16) + 1).view(torch.float16).float()
        return torch.where(near < scale, above, near).clamp(max=_LARGEST)


def floor_log2(x: Tensor) -> Tensor:
    """Exponent of the largest power of two that is not above *x*, int64."""
    return torch.frexp(x).exponent.long() - 1


def power_of_two(exponent: Tensor) -> Tensor:
    """``2**exponent`` in float64, exact (torch.pow need not be); *exponent* is int64."""
    bias, fraction_bits = 1023, 52
    return ((exponent + bias) << fraction_bits).view(torch.float64)
