"""The table, scale and shift of least squared error for formats of levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mpsearch.core.formats.levels import LevelFormat
from mpsearch.quantizers.base import Params
from mpsearch.quantizers.scales import ScaleGrid
from mpsearch.quantizers.slices import Slices
from mpsearch.quantizers.sorted_error import SortedSlices

_SHARES = torch.logspace(-6, 0.1, 32, base=2.0, dtype=torch.float64)
"""Scales tried, as shares of the one that just reaches the largest magnitude."""
_FINER = 3  # rounds, each with steps of a third of the last
_LOWS = (0.0, 1e-4, 1e-3, 1e-2)
"""Shares of the smallest numbers that a shift may cut off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """Errors [S] and the scales in units [S, 1] that lead to them, for one table and shift."""

    error: Tensor
    scale: Tensor
    table: int
    shift: float

    @property
    def total(self) -> float:
        return float(self.error.sum())


def fitted(slices: Slices, formats: Sequence[LevelFormat],
           tables: Sequence[Tensor]) -> list[Params]:
    """Parameters in each of *formats*, whose candidate levels are *tables* ([T, n] each)."""
    reach = torch.maximum(-slices.low, slices.high)
    spare = torch.where(reach.max() > 0, reach.max(), 1.0)
    exact = torch.where(reach > 0, reach, spare)
    ready: dict[bool, tuple[ScaleGrid, SortedSlices]] = {}
    found = []
    for fmt, own in zip(formats, tables, strict=True):
        stored = not fmt.dynamic
        if stored not in ready:
            grid = ScaleGrid.around(exact, stored=stored)
            ready[stored] = grid, SortedSlices.of(grid.to_units(slices.x))
        grid, ordered = ready[stored]
        reach_here = exact / grid.unit
        best = min((_Found(table=t, shift=low, scale=scale, error=error)
                    for low in _lows(ordered, fmt) for t in range(len(own))
                    for scale, error in [_searched(ordered, own[t], low, grid, reach_here)]),
                   key=lambda each: each.total)
        found.append(_params(best, grid, fmt))
    return found


def _lows(ordered: SortedSlices, fmt: LevelFormat) -> list[float]:
    """Shifts to try, in units: 0, and where numbers go below it their smallest ones."""
    least = ordered.x[:, 0].min()
    if not fmt.SHIFTED or least >= 0:
        return [0.0]
    row = ordered.x[0]
    cuts = [row[round(share * (len(row) - 1))].clamp(max=0) for share in _LOWS]
    return list(dict.fromkeys(float(cut) for cut in cuts))


def _searched(ordered: SortedSlices, table: Tensor, low: float, grid: ScaleGrid,
              reach: Tensor) -> tuple[Tensor, Tensor]:
    """The best scale of each slice for one table of levels shifted to *low*, and its error."""
    reach = torch.maximum(reach, ordered.x[:, -1:] - low) if low else reach
    steps = _SHARES[:, None, None] * reach
    scale, error = _best(ordered, table, low, grid, steps)
    ratio = float(_SHARES[1] / _SHARES[0])
    for _ in range(_FINER):
        ratio **= 1 / 3
        near = torch.tensor([ratio**-2, ratio**-1, 1.0, ratio, ratio**2], dtype=torch.float64)
        scale, error = _best(ordered, table, low, grid, near[:, None, None] * scale.double())
    return scale, error


def _best(ordered: SortedSlices, table: Tensor, low: float, grid: ScaleGrid,
          scales: Tensor) -> tuple[Tensor, Tensor]:
    rounded = torch.stack([grid.nearest(each) for each in scales])
    errors = ordered.errors(table * rounded.double() + low)
    least, at = errors.min(0)
    return rounded.gather(0, at[None, :, None]).squeeze(0), least


def _params(best: _Found, grid: ScaleGrid, fmt: LevelFormat) -> Params:
    scale = grid.from_units(best.scale)
    more = {"table": torch.tensor([best.table], dtype=torch.uint8, device=scale.device)}
    if fmt.SHIFTED:
        more["shift"] = (best.shift * grid.unit[:1, 0]).float()
    return Params(scale=scale, zero_point=torch.zeros_like(scale, dtype=torch.int32), more=more)
