"""The table, scale and shift of least squared error for formats of levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mpsearch.core.formats.levels import LevelFormat
from mpsearch.quantizers.base import Params
from mpsearch.quantizers.scale_search import reach_of
from mpsearch.quantizers.scales import ScaleGrid
from mpsearch.quantizers.slices import Slices
from mpsearch.quantizers.sorted_error import SortedSlices

_SHARES = torch.logspace(-6, 0.1, 16, base=2.0, dtype=torch.float64)
"""Scales tried, as shares of the one that just reaches the largest magnitude."""
_FINER = 6  # rounds, each with steps of half the last
_LOWS = (0.0, 1e-4, 1e-3, 1e-2)
"""Shares of the smallest numbers that a shift may cut off."""


_FULL = 4  # tables and shifts that are tried on all numbers, the best of many on a sample
_SLICES, _LENGTH = 64, 1 << 14  # in a sample: slices, or more if they are short, and their length
_NUMBERS = 1 << 14


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Search:
    """Numbers in order, what their scales must *reach* (in units, [S, 1]), and their *grid*."""

    ordered: SortedSlices
    reach: Tensor
    grid: ScaleGrid

    def sampled(self) -> _Search:
        """The search on some slices, and on some numbers of each, at even distances."""
        slices, length = self.ordered.x.shape
        rows = slice(None, None, -(-slices // max(_SLICES, _NUMBERS // length)))
        some = self.ordered.x[rows, :: -(-length // _LENGTH)]
        return _Search(ordered=SortedSlices.of(some), reach=self.reach[rows],
                       grid=self.grid.rows(rows))

    def best(self, table: Tensor, number: int, low: float) -> _Found:
        """The best scale for a *table* of levels shifted to *low*."""
        return self._finer(table, self._coarse(table, number, low))

    def _coarse(self, table: Tensor, number: int, low: float) -> _Found:
        top = self.ordered.x[:, -1:] - low
        reach = torch.maximum(self.reach, top) if low else self.reach
        scale, error = self._best(table, low, _SHARES[:, None, None] * reach)
        return _Found(table=number, shift=low, scale=scale, error=error)

    def _finer(self, table: Tensor, found: _Found) -> _Found:
        scale, error = found.scale, found.error
        ratio = float(_SHARES[1] / _SHARES[0])
        for _ in range(_FINER):
            ratio **= 0.5
            near = scale.new_tensor([1 / ratio, ratio], dtype=torch.float64)[:, None, None]
            other, new = self._best(table, found.shift, near * scale.double())
            scale = torch.where((new < error)[:, None], other, scale)
            error = torch.minimum(new, error)
        return _Found(table=found.table, shift=found.shift, scale=scale, error=error)

    def _best(self, table: Tensor, low: float, scales: Tensor) -> tuple[Tensor, Tensor]:
        rounded = self.grid.nearest(scales)
        errors = self.ordered.errors(table * rounded.double() + low)
        least, at = errors.min(0)
        return rounded.gather(0, at[None, :, None]).squeeze(0), least


def fitted(slices: Slices, formats: Sequence[LevelFormat],
           tables: Sequence[Tensor]) -> list[Params]:
    """Parameters in each of *formats*, whose candidate levels are *tables* ([T, n] each)."""
    exact = reach_of(slices)
    ready: dict[bool, _Search] = {}
    found = []
    for fmt, own in zip(formats, tables, strict=True):
        stored = not fmt.dynamic
        if stored not in ready:
            grid = ScaleGrid.around(exact, stored=stored)
            ready[stored] = _Search(ordered=SortedSlices.of(grid.to_units(slices.x)),
                                    reach=exact / grid.unit, grid=grid)
        search = ready[stored]
        chosen = _promising(search, own, _lows(search.ordered, fmt))
        best = min((search.best(own[t], t, low) for t, low in chosen),
                   key=lambda each: each.total)
        found.append(_params(best, search.grid, fmt))
    return found


def _promising(search: _Search, tables: Tensor, lows: Sequence[float]) -> list[tuple[int, float]]:
    """Tables and shifts worth a closer look: all if they are few, else the best on a sample.

    First the table, with the first shift, then the shift. Where there are more
    slices than in the sample, it leaves one.
    """
    pairs = [(t, low) for low in lows for t in range(len(tables))]
    if len(pairs) <= max(_FULL, len(lows)):
        return pairs
    sample = search.sampled()

    def tried(pairs: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
        errors = [sample.best(tables[t], t, low).total for t, low in pairs]
        order = sorted(range(len(pairs)), key=errors.__getitem__)
        return [pairs[i] for i in order[:_FULL]]

    best = tried([(t, lows[0]) for t in range(len(tables))])
    if len(lows) > 1:
        best = tried([(t, low) for t, _ in best for low in lows])
    return best if len(sample.reach) == len(search.reach) else best[:1]


def _lows(ordered: SortedSlices, fmt: LevelFormat) -> list[float]:
    """Shifts to try, in units: 0, or where numbers go below it their smallest ones."""
    least = ordered.x[:, 0].min()
    if not fmt.SHIFTED or least >= 0:
        return [0.0]
    row = ordered.x[0]
    cuts = [row[round(share * (len(row) - 1))].clamp(max=0) for share in _LOWS]
    return list(dict.fromkeys(float(cut) for cut in cuts))


def _params(best: _Found, grid: ScaleGrid, fmt: LevelFormat) -> Params:
    scale = grid.from_units(best.scale)
    more = {"table": torch.tensor([best.table], dtype=torch.uint8, device=scale.device)}
    if fmt.SHIFTED:
        more["shift"] = (best.shift * grid.unit[:1, 0]).float()
    return Params.without_zero(scale, more)
