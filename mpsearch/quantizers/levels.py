"""The quantizer behind all formats whose codes stand for levels: nearest level, searched scale.

A kind of format states its tables of levels. Rounding is to the nearest level, which loses no more
than rounding the exponent does, as the methods were published.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import torch
from torch import Tensor

from mpsearch.core.formats.levels import LevelFormat
from mpsearch.quantizers.base import Params
from mpsearch.quantizers.checked import layout_for
from mpsearch.quantizers.elementwise import Elementwise, by_layout
from mpsearch.quantizers.layout import Layout
from mpsearch.quantizers.level_search import fitted
from mpsearch.quantizers.rounding.choose import loops_for
from mpsearch.quantizers.rounding.lookup import Table
from mpsearch.quantizers.rows import Rows
from mpsearch.quantizers.slices import Slices
from mpsearch.quantizers.stairs import Stairs, Strand


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels(Elementwise[LevelFormat]):
    """Base of the quantizers of level formats; a kind gives its *tables*."""

    @abstractmethod
    def tables(self, fmt: LevelFormat) -> Tensor:
        """Candidate levels float64 [T, n], rising, n up to ``2**bits``, the largest magnitude 1.

        At most 256 tables. Tables of fewer levels repeat one.
        """

    def fit(self, x: Tensor, formats: Sequence[LevelFormat],
            axes: Sequence[int] | None = None) -> list[Params]:
        """Table, scales and shift of least squared error in each of *formats*.

        Raises:
            BadInput: the tensor is empty or has values that are not finite.
        """
        return by_layout(x, formats, axes, lambda layout, own: fitted(
            Slices.of(x, layout), own, [_tables(self, fmt) for fmt in own]))

    def coded(self, rows: Tensor, params: Params, fmt: LevelFormat, layout: Layout) -> Tensor:
        """The nearest levels, the lower one of two."""
        del layout
        table = self._table(fmt, params, rows.device)
        steps = (rows.float() - _shift(params)).div_(params.scale).contiguous()
        return torch.bucketize(steps, _bounds(table), out_int32=True)

    def values(self, codes: Tensor, params: Params, fmt: LevelFormat, layout: Layout) -> Tensor:
        """Levels times the scale, shifted."""
        del layout
        table = self._table(fmt, params, codes.device)
        levels = table.index_select(0, codes.flatten()).view(codes.shape)
        return levels.mul_(params.scale).add_(_shift(params))

    def round_trip(self, x: Tensor, params: Params, fmt: LevelFormat,
                   axes: Sequence[int] | None = None) -> Tensor:
        """What `decode` makes of what `encode` makes of *x*, in its dtype, and faster.

        Raises:
            BadInput: the tensor has values that are not finite, or does not fit *params*.
        """
        table = _table(self, fmt, int(params.more["table"]), x.device)
        if table is None or not x.numel():
            codes = self.encode(x, params, fmt, axes)
            return self.decode(codes, params, fmt, axes, dtype=x.dtype)
        rows = Rows.of(x.detach(), layout_for(x.shape, params, fmt, axes))
        out = torch.empty(rows.x.shape, device=x.device)
        loops_for(rows.x).levels(rows.x, params.scale, _shift(params), table, out)
        return rows.back(out.to(x.dtype))

    def stairs(self, params: Params, fmt: LevelFormat) -> Stairs:
        """The levels of the chosen table; before scaling, numbers lose the shift."""
        number = int(params.more["table"])
        table = _tables(self, fmt)[number].to(torch.float32)
        return Stairs.by_rank(_bounds(table), self.strands(fmt, number))

    def strands(self, fmt: LevelFormat, number: int) -> tuple[Strand, ...]:
        """Levels of table *number* as whole numbers: exactly those of `decode`.

        A kind whose levels are whole numbers by themselves says so, where float32 rounds them.
        """
        return (Strand.of(_tables(self, fmt)[number].to(torch.float32).tolist()),)

    def _table(self, fmt: LevelFormat, params: Params, device: torch.device) -> Tensor:
        return _tables(self, fmt)[int(params.more["table"])].to(device, torch.float32)


@cache
def _tables(quantizer: Levels, fmt: LevelFormat) -> Tensor:
    return quantizer.tables(fmt)


@lru_cache(maxsize=64)
def _table(quantizer: Levels, fmt: LevelFormat, number: int, device: torch.device) -> Table | None:
    levels = torch.unique_consecutive(_tables(quantizer, fmt)[number].to(device, torch.float32))
    return Table.of(levels, _bounds(levels))


def _bounds(table: Tensor) -> Tensor:
    return ((table[1:].double() + table[:-1].double()) / 2).float()


def _shift(params: Params) -> Tensor:
    return params.more["shift"] if "shift" in params.more else torch.zeros_like(params.scale[0])
