"""Scales of least squared error for numbers that are rounded by any rule."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from mpsearch.quantizers.scales import ScaleGrid
from mpsearch.quantizers.slices import Slices

_TILE = 1 << 17  # numbers rounded at once: few enough to stay in a core's caches
_CLOSED_FORMS = 2

Rounding = Callable[[Tensor], Tensor]
"""Rounds float32 numbers, counted in scales, to the levels; it may do so in place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A scale for each slice, in units (float32 [S, 1]), and its squared error ([S, 1])."""

    scale: Tensor
    error: Tensor

    def better(self, other: Found) -> Found:
        """For each slice that of less error, this one where both have the same."""
        gained = other.error < self.error
        return Found(scale=torch.where(gained, other.scale, self.scale),
                     error=torch.where(gained, other.error, self.error))


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Slices in units of *grid*, and the largest magnitude of each, *reach* (above 0)."""

    x: Tensor
    reach: Tensor
    grid: ScaleGrid

    @classmethod
    def each(cls, slices: Slices) -> Iterator[Self]:
        """The search for each block of *slices*; zeros reach as far as the largest slice."""
        reach = reach_of(slices)
        grid = ScaleGrid.around(reach, stored=True)
        for rows in slices.blocks():
            yield cls.of(slices.x[rows], reach[rows], grid.rows(rows))

    @classmethod
    def of(cls, x: Tensor, reach: Tensor, grid: ScaleGrid) -> Self:
        """The search for slices *x* of this *reach*, all of them on *grid*."""
        return cls(x=grid.to_units(x).contiguous(), reach=reach / grid.unit, grid=grid)

    def best_of(self, rounding: Rounding, scales: Sequence[Tensor]) -> Found:
        """For each slice the first of *scales* (in units) that leads to the least error."""
        best = self._judged(rounding, scales[0])
        for scale in scales[1:]:
            best = best.better(self._judged(rounding, scale))
        return best

    def refined(self, rounding: Rounding, best: Found, ratios: Sequence[float]) -> Found:
        """*best*, moved by each of *ratios* up and down in turn, and by the closed form.

        That is <x, c> / <c, c> for the numbers c that the scale leads to: Lloyd's algorithm.
        """
        for ratio in ratios:
            for scale in (best.scale / ratio, best.scale * ratio):
                best = best.better(self._judged(rounding, self.grid.nearest(scale)))
        for _ in range(_CLOSED_FORMS):
            scale = self.grid.nearest(self._closed_form(rounding, best.scale))
            if torch.equal(scale, best.scale):
                break
            best = best.better(self._judged(rounding, scale))
        return best

    def _judged(self, rounding: Rounding, scale: Tensor) -> Found:
        error = torch.zeros_like(scale)
        for rows, tile in self._tiles():
            own = scale[rows]
            rest = rounding(tile / own).mul_(own).sub_(tile)
            error[rows] += rest.square_().sum(1, keepdim=True)
        return Found(scale=scale, error=error)

    def _closed_form(self, rounding: Rounding, scale: Tensor) -> Tensor:
        slope, energy = torch.zeros_like(scale), torch.zeros_like(scale)
        for rows, tile in self._tiles():
            own = scale[rows]
            levels = rounding(tile / own)
            slope[rows] += torch.addcmul(tile, levels, own, value=-1).mul_(levels).sum(
                1, keepdim=True)
            energy[rows] += levels.square_().sum(1, keepdim=True)
        return torch.where(energy > 0, scale + slope / energy, scale)

    def _tiles(self) -> list[tuple[slice, Tensor]]:
        total, length = self.x.shape
        height = max(1, _TILE // length)
        return [(slice(at, at + height), self.x[at:at + height, column:column + _TILE])
                for at in range(0, total, height) for column in range(0, length, _TILE)]


def reach_of(slices: Slices) -> Tensor:
    """The largest magnitude of each slice, float64 [S, 1]; for zeros the tensor's, or 1."""
    reach = torch.maximum(-slices.low, slices.high)
    spare = torch.where(reach.max() > 0, reach.max(), 1.0)
    return torch.where(reach > 0, reach, spare)


def shares(octaves: float, steps: int, above: float = 0.0) -> list[float]:
    """Shares from ``2**above`` down by so many *octaves*, in *steps* an octave."""
    count = math.floor((octaves + above) * steps)
    return [2.0 ** (above - k / steps) for k in range(count + 1)]
