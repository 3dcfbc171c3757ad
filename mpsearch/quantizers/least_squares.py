"""Scales of least squared error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from mpsearch.core.formats import IntFormat
from mpsearch.quantizers.absmax import Span, Start, zero_of
from mpsearch.quantizers.base import Params
from mpsearch.quantizers.error import Choice, closed_form, join, params_of
from mpsearch.quantizers.scales import ScaleGrid
from mpsearch.quantizers.slices import Slices
from mpsearch.quantizers.threads import side_by_side

# The grid of overshoots, see `_Search`: at most so many codes left unused; even steps from -1;
# then growth by this factor, this many candidates at a time.
_UNUSED_AT_MOST = 8
_EVEN_STEP, _EVEN_UP_TO = 0.25, 3.0
_GROWTH, _AT_A_TIME = 1.2, 3
# On ViT weights four rounds bring all but 1 % of what refining can.
_ROUNDS = 4


def least_squares(slices: Slices, formats: Sequence[IntFormat]) -> list[Params]:
    """For each slice and format a scale, and zero point, of least squared error.

    The best of a grid of candidates is refined by turns of the closed form <x, c> / <c, c> for
    its codes c and of encoding anew, while the error falls (Lloyd's algorithm with evenly spaced
    levels, as in LQ-Nets, Zhang et al., ECCV 2018). Errors are of scales as they are stored. The
    start is that of `absmax`, so this is never worse.
    """
    starts = [Start.of(slices, fmt) for fmt in formats]

    def found(rows: slice) -> list[Choice]:
        searches = [_Search.of(slices, rows, fmt, start.rows(rows))
                    for fmt, start in zip(formats, starts, strict=True)]
        return [_refined(search.x, search.coarse(), search.fmt, search.start.grid, _ROUNDS)
                for search in searches]

    blocks = side_by_side(found, list(slices.blocks()), slices.x.device)
    return [params_of(choices, start.grid)
            for choices, start in zip(zip(*blocks, strict=True), starts, strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Search:
    """The search on one block of slices *x*, in units of the start's grid.

    A candidate scale is reach / (steps + overshoot): the overshoot counts by how many steps the
    extreme of a slice lies beyond the last code. On that ruler the best scale lies between 0 and
    3 for bell-shaped slices at any bit width, so that is where the grid is fine.

    Outliers worth clipping put it further out, so the grid goes on, ever coarser, until no slice
    gains. It does not stop before the scale is *fine*, half the slice's root mean square: while
    the bulk still rounds to 0, nothing may be gained on the way to where it does not. At finer
    scales the noise is granular, and the error nearly convex in the clip level.

    Below 0, whole numbers leave codes unused, which finds weights that already lie on a coarser
    grid; leaving more than half unused would be half the scale with half unused.
    """

    x: Tensor
    low: Tensor
    fine: Tensor
    span: Span
    fmt: IntFormat
    start: Start

    @classmethod
    def of(cls, slices: Slices, rows: slice, fmt: IntFormat, start: Start) -> Self:
        """The search on some *rows* of *slices*, which have their own *start*."""
        low, high = slices.low[rows] / start.grid.unit, slices.high[rows] / start.grid.unit
        x = start.grid.to_units(slices.x[rows])
        fine = torch.linalg.vector_norm(x, dim=1, keepdim=True) / (2 * math.sqrt(x.shape[1]))
        return cls(x=x, low=low, fine=fine, span=Span.of(low, high, fmt), fmt=fmt, start=start)

    def coarse(self) -> Choice:
        """The best of the grid."""
        start = Choice.of(self.x, self.start.scale[None], self.start.zero[None], self.fmt)
        best = join([start, self._candidates(_even_overshoots(self.fmt))], dim=0).best()
        overshoot, go_on = _EVEN_UP_TO, True
        while go_on:
            further = [overshoot * _GROWTH ** (1 + index) for index in range(_AT_A_TIME)]
            wider = join([best, self._candidates(further)], dim=0).best()
            coarse = self.span.reach / (self.span.steps + further[-1]) > self.fine
            go_on = bool((coarse | (wider.error[0] < best.error[0])).any())
            best, overshoot = wider, further[-1]
        return best

    def _candidates(self, overshoots: Sequence[float]) -> Choice:
        beyond = self.low.new_tensor(overshoots).view(-1, 1, 1)
        steps = torch.maximum(self.span.steps + beyond, self.span.steps / 2)
        scale = self.start.grid.nearest(self.span.reach / steps)
        if self.fmt.symmetric:
            return Choice.of(self.x, scale, self.start.zero[None], self.fmt)
        zeros = [zero_of(low, scale, self.fmt) for low in self._windows(scale)]
        return Choice.of(self.x, scale.repeat(len(zeros), 1, 1), torch.cat(zeros), self.fmt)

    def _windows(self, scale: Tensor) -> tuple[Tensor, Tensor]:
        """Where the codes may begin: the range cut evenly at both ends, or to even ends.

        Evenly cut suits a slice with its bulk in the middle of its range. Even ends, as far from
        0 as each other where the slice reaches that far, suit one with its bulk at 0.
        """
        width = self.span.steps * scale
        excess = (self.span.reach - width).clamp(min=0)
        return self.low + excess / 2, torch.clamp(-width / 2, self.low, self.low + excess)


def _even_overshoots(fmt: IntFormat) -> list[float]:
    first, last = fmt.code_range
    unused = range(min(_UNUSED_AT_MOST, (last - first) // 2), 1, -1)
    even = range(round((_EVEN_UP_TO + 1) / _EVEN_STEP) + 1)
    return [-float(codes) for codes in unused] + [-1 + index * _EVEN_STEP for index in even]


def _refined(x: Tensor, best: Choice, fmt: IntFormat, grid: ScaleGrid, rounds: int) -> Choice:
    """*best* moved until neither its closed form nor the next zero points lower the error.

    Only slices that gained enter the next round.
    """
    moves = x.new_tensor([0] if fmt.symmetric else [0, -1, 1]).view(-1, 1, 1)
    zero = (best.zero + moves).clamp(*fmt.code_range)
    scale = grid.nearest(closed_form(x, best.scale.expand_as(zero), zero, fmt))
    better = join([best, Choice.of(x, scale, zero, fmt)], dim=0).best()
    gained = (better.error < best.error).flatten().nonzero().flatten()
    if rounds == 1 or not len(gained):
        return better
    left = x if len(gained) == len(x) else x[gained]  # no copy of one long slice
    again = _refined(left, better.rows(gained), fmt, grid.rows(gained), rounds - 1)
    return better.with_rows(gained, again)
