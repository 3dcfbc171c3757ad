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
from mpsearch.quantizers.checked import finite, layout_for
from mpsearch.quantizers.elementwise import Elementwise, by_layout
from mpsearch.quantizers.layout import Layout
from mpsearch.quantizers.level_search import fitted
from mpsearch.quantizers.lookup import Lookup, Work
from mpsearch.quantizers.slices import Slices
from mpsearch.quantizers.tiles import tiles


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
        levels, lookup = _lookup(self, fmt, int(params.more["table"]), x.device)
        if lookup is None or not x.numel():
            codes = self.encode(x, params, fmt, axes)
            return self.decode(codes, params, fmt, axes, dtype=x.dtype)
        layout = layout_for(x.shape, params, fmt, axes)
        rows = finite(layout.to_slices(x.detach()))
        out = torch.empty(rows.shape, dtype=x.dtype, device=x.device)
        _look_up(rows, levels, lookup, params, out)
        return layout.from_slices(out).contiguous()

    def _table(self, fmt: LevelFormat, params: Params, device: torch.device) -> Tensor:
        return _tables(self, fmt)[int(params.more["table"])].to(device, torch.float32)


@cache
def _tables(quantizer: Levels, fmt: LevelFormat) -> Tensor:
    return quantizer.tables(fmt)


@lru_cache(maxsize=64)
def _lookup(quantizer: Levels, fmt: LevelFormat, table: int,
            device: torch.device) -> tuple[Tensor, Lookup | None]:
    """The levels of a table, each once, and what finds the nearest."""
    levels = torch.unique_consecutive(_tables(quantizer, fmt)[table].to(device, torch.float32))
    return levels, Lookup.of(_bounds(levels))


def _bounds(table: Tensor) -> Tensor:
    return ((table[1:].double() + table[:-1].double()) / 2).float()


def _look_up(rows: Tensor, levels: Tensor, lookup: Lookup, params: Params, out: Tensor) -> None:
    shift = _shift(params)
    values = levels.mul(params.scale[0]).add_(shift).to(out.dtype)
    work: Work | None = None
    for part in tiles(rows):
        scale, own = params.scale[part[0]], rows[part]
        work = work or Work.of(own.numel(), rows.device)
        steps = work.steps[: own.numel()].view(own.shape)
        torch.sub(own, shift, out=steps).div_(scale)
        places = lookup.places(steps.view(-1), work)
        if len(params.scale) == 1:  # then the values of the levels are known beforehand
            torch.index_select(values, 0, places, out=out[part].view(-1))
        else:
            torch.index_select(levels, 0, places, out=steps.view(-1))
            out[part] = steps.mul_(scale).add_(shift)


def _shift(params: Params) -> Tensor | float:
    return params.more.get("shift", 0.0)
