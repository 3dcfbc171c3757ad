"""Scales that clip nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from mpsearch.core.formats import IntFormat
from mpsearch.quantizers.base import Params
from mpsearch.quantizers.scales import ScaleGrid
from mpsearch.quantizers.slices import Slices


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What a format must reach in each slice: *reach* / *steps* is the scale that just does.

    Symmetric: the side of 0 that needs the larger scale, and the codes on that side.
    Asymmetric: the whole range of the slice, and all steps between the codes. float64 [S, 1].
    """

    reach: Tensor
    steps: Tensor

    @classmethod
    def of(cls, low: Tensor, high: Tensor, fmt: IntFormat) -> Self:
        """The span from *low* to *high*, which are on either side of 0 or at it."""
        first, last = fmt.code_range
        if not fmt.symmetric:
            return cls(reach=high - low, steps=torch.full_like(low, last - first))
        upper = high / last >= low / first
        return cls(reach=torch.where(upper, high, -low),
                   steps=torch.where(upper, last, -first).to(low.dtype))


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The smallest scale on the grid that clips nothing (units, float32), and its zero point.

    Zero points are whole float32 numbers here: they are used in float arithmetic.
    """

    grid: ScaleGrid
    scale: Tensor
    zero: Tensor

    @classmethod
    def of(cls, slices: Slices, fmt: IntFormat) -> Self:
        """The start for all of *slices*. All-zero slices take the tensor's largest scale, or 1."""
        span = Span.of(slices.low, slices.high, fmt)
        exact = span.reach / span.steps
        spare = exact.max() if not fmt.dynamic else exact.new_zeros(())
        spare = torch.where(spare > 0, spare, 1.0)
        exact = torch.where(exact > 0, exact, spare)
        grid = ScaleGrid.around(exact, stored=not fmt.dynamic)
        scale = grid.at_least(exact / grid.unit)
        return cls(grid=grid, scale=scale, zero=zero_of(slices.low / grid.unit, scale, fmt))

    def rows(self, rows: slice) -> Start:
        """The start of some of the slices."""
        return Start(grid=self.grid.rows(rows), scale=self.scale[rows], zero=self.zero[rows])

    def params(self) -> Params:
        """The start as parameters."""
        return Params(scale=self.grid.from_units(self.scale), zero_point=self.zero.int())


def zero_of(low: Tensor, scale: Tensor, fmt: IntFormat) -> Tensor:
    """The zero point at which the first code is nearest to *low* (at most 0), float32 [S, 1]."""
    if fmt.symmetric:
        return torch.zeros_like(scale)
    first, last = fmt.code_range
    return (-low / scale).round().clamp(first, last).float()


def absmax(slices: Slices, formats: Sequence[IntFormat]) -> list[Params]:
    """For each slice and format the smallest scale that clips nothing.

    A zero point rounded to a code moves the range by at most half a step, so that no value is
    ever off by more than half a step.
    """
    return [Start.of(slices, fmt).params() for fmt in formats]
