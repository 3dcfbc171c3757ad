"""The nearest level of many numbers at once, by the leading bits of each.

The bits of a float32 number, cut off behind a few of its fraction, name a cell of numbers. Cells
are made so narrow that no boundary between two levels shares one with another: what is left to do
is one comparison. Levels in steps of powers need few bits, and even ones no more than a table of
some thousands of cells, so that this is many times faster than a search among the boundaries, and
finds the same level.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

_FRACTION = 23
"""Bits of the fraction of a float32 number."""
_LEAST = 2.0**-120  # below, half a boundary may be no float32 number of full precision
_ROOM = 1 << 18  # cells of a table at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """Cells for boundaries (float32, rising, each once) between *low* and *high*.

    *lower* is for each cell the place of its least number among the boundaries, *upper* for each
    place the next boundary.
    """

    low: float
    high: float
    dropped: int
    first: int
    lower: Tensor
    upper: Tensor

    @classmethod
    def of(cls, bounds: Tensor) -> Self | None:
        """The cells of *bounds* [n - 1]; None where they would be too many."""
        if not len(bounds) or 0 < bounds[0] < _LEAST:
            return None
        for kept in range(_FRACTION + 1):
            dropped = _FRACTION - kept
            low, high = _ends(bounds)
            first = -(1 << (31 - dropped)) if low < 0 else _cell(low, dropped)
            count = _cell(high, dropped) - first + 1
            if count > _ROOM:
                return None
            cells = bounds.view(torch.int32) >> dropped
            if bool((cells.diff() != 0).all()):  # cells of rising numbers of one sign do not return
                least = _least(first, count, dropped, bounds.device)
                upper = torch.cat([bounds, bounds.new_tensor([torch.inf])])
                lower = torch.bucketize(least, bounds, out_int32=True)
                return cls(low=low, high=high, dropped=dropped, first=first, lower=lower,
                           upper=upper)
        return None

    def places(self, x: Tensor, work: Work) -> Tensor:
        """How many boundaries lie below each of *x* [n], float32, which is overwritten; int32.

        The result lives in *work*.
        """
        cells, upper, found = (each[: len(x)] for each in (work.cells, work.upper, work.found))
        x.clamp_(self.low, self.high)
        torch.bitwise_right_shift(x.view(torch.int32), self.dropped, out=cells).sub_(self.first)
        torch.index_select(self.lower, 0, cells, out=found)
        torch.index_select(self.upper, 0, found, out=upper)
        return found.add_(torch.gt(x, upper, out=cells))


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Levels float32 [n], rising, each once, and what finds the nearest."""

    levels: Tensor
    lookup: Lookup

    @classmethod
    def of(cls, levels: Tensor, bounds: Tensor) -> Self | None:
        """*levels* with *bounds* [n - 1] between them; None where there would be too many cells."""
        lookup = Lookup.of(bounds)
        return None if lookup is None else cls(levels=levels, lookup=lookup)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Room for what is in between, for up to so many numbers at once; used again and again.

    Memory that is asked for anew costs more than the look-up itself.
    """

    steps: Tensor
    cells: Tensor
    found: Tensor
    upper: Tensor

    @classmethod
    def of(cls, count: int, device: torch.device) -> Self:
        """Room for *count* numbers."""
        real = torch.empty(2, count, device=device)
        whole = torch.empty(2, count, dtype=torch.int32, device=device)
        return cls(steps=real[0], upper=real[1], cells=whole[0], found=whole[1])


def _ends(bounds: Tensor) -> tuple[float, float]:
    """Powers of two that every boundary lies strictly between; 0 is not among them."""
    high = 2.0 ** (int(torch.frexp(bounds.abs().max()).exponent) + 1)
    if bounds[0] > 0:
        return 2.0 ** (int(torch.frexp(bounds[0]).exponent) - 2), high
    return -high, high


def _cell(x: float, dropped: int) -> int:
    return int(torch.tensor([x]).view(torch.int32)) >> dropped


def _least(first: int, count: int, dropped: int, device: torch.device) -> Tensor:
    """The least number of each cell, float32 [count]."""
    cells = torch.arange(first, first + count, dtype=torch.int64, device=device)
    bits = (cells << dropped) | torch.where(cells < 0, (1 << dropped) - 1, 0)
    return bits.to(torch.int32).view(torch.float32)
