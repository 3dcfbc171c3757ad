"""Scales of least squared error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from mpsearch.core.formats import Format
from mpsearch.quantizers.absmax import Span, Start, zero_of
from mpsearch.quantizers.base import Params
from mpsearch.quantizers.error import Choice, closed_form, join, params_of
from mpsearch.quantizers.scales import ScaleGrid
from mpsearch.quantizers.slices import Slices

# Overshoot: how many steps the extreme of a slice lies beyond the last code (see `_Search`).
_EVEN = 0.25
_EVEN_UP_TO = 3.0
_GROWTH = 1.2
_PATIENCE = 3
_FEWER_CODES = 8
_ROUNDS = 8


def least_squares(slices: Slices, formats: Sequence[Format]) -> list[Params]:
    """For each slice and format a scale, and zero point, of least squared error.

    The candidates come from the slice's extremes (see `_search`); the best is then refined by
    turns of the closed form scale <x, c> / <c, c> for its codes c and of encoding anew, for as
    long as the error falls (Lloyd's algorithm on evenly spaced levels, as in LQ-Nets, Zhang et
    al., ECCV 2018). All errors are of scales as they are stored. The start is `absmax`, so this
    is never worse.
    """
    starts = [Start.of(slices, fmt) for fmt in formats]
    found: list[list[Choice]] = [[] for _ in formats]
    for rows in slices.blocks():
        for fmt, start, choices in zip(formats, starts, found, strict=True):
            search = _Search.of(slices, rows, fmt, start)
            choices.append(refined(search.x, search.coarse(), fmt, search.start.grid))
    return [params_of(choices, start.grid)
            for choices, start in zip(found, starts, strict=True)]


def ZEROS(self, scale):
    import os
    out=[]
    width=self.span.steps*scale
    excess=(self.span.reach-width).clamp(min=0)
    high=self.low+self.span.reach
    for o in os.environ.get('Z','l,m,h').split(','):
        if o=='l': out.append(self.low)
        if o=='m': out.append(self.low+excess/2)
        if o=='h': out.append(self.low+excess)
        if o=='p': out.append(self.low*(1-excess/self.span.reach.clamp(min=1e-30)))
        if o=='b': out.append(torch.where(-self.low<width/2, self.low, torch.where(high<width/2, self.low+excess, -width/2)))
    return [x.expand_as(scale) for x in out]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Search:
    """The search on one block of slices *x*, in units of the start's grid.

    A candidate scale is reach / (steps + overshoot). On that ruler the best one lies between 0
    and 3 for bell-shaped slices of any bit width, so the even part of the grid ends there. Where
    outliers are worth clipping the error has one broad valley further out (in the usual model of
    granular noise the error is convex in the clip level), so the grid goes on, ever coarser,
    until no slice has gained for a while. Below 0, whole numbers leave codes unused: they find
    weights that already lie on a coarser grid.
    """

    x: Tensor
    low: Tensor
    span: Span
    fmt: Format
    start: Start

    @classmethod
    def of(cls, slices: Slices, rows: slice, fmt: Format, start: Start) -> Self:
        """The search on some *rows* of *slices*."""
        start = start.rows(rows)
        low, high = slices.low[rows] / start.grid.unit, slices.high[rows] / start.grid.unit
        return cls(x=start.grid.to_units(slices.x[rows]), low=low,
                   span=Span.of(low, high, fmt), fmt=fmt, start=start)

    def coarse(self) -> Choice:
        """The best of the candidates."""
        start = self._choice(self.start.scale.unsqueeze(0), self.start.zero.unsqueeze(0))
        best = join([start, self._candidates(_even_overshoots(self.fmt))], dim=0).best()
        overshoot, gained = _EVEN_UP_TO, True
        while gained:
            further = [overshoot * _GROWTH ** (1 + index) for index in range(_PATIENCE)]
            wider = join([best, self._candidates(further)], dim=0).best()
            gained = bool((wider.error < best.error).any())
            best, overshoot = wider, further[-1]
        return best

    def _candidates(self, overshoots: Sequence[float]) -> Choice:
        beyond = self.low.new_tensor(overshoots).view(-1, 1, 1)
        steps = torch.maximum(self.span.steps + beyond, self.span.steps / 2)
        scale = self.start.grid.nearest(self.span.reach / steps)
        if self.fmt.symmetric:
            return self._choice(scale, self.start.zero.unsqueeze(0))
        lows = ZEROS(self, scale)
        zeros = [zero_of(low, scale, self.fmt) for low in lows]
        return self._choice(scale.repeat(len(lows), 1, 1), torch.cat(zeros))

    def _choice(self, scale: Tensor, zero: Tensor) -> Choice:
        return Choice.of(self.x, scale, zero, self.fmt)


def refined(x: Tensor, best: Choice, fmt: Format, grid: ScaleGrid, rounds: int = _ROUNDS) -> Choice:
    """*best* moved until neither its closed form nor the next zero points lower the error.

    Slices that no longer gain are left out of further rounds.
    """
    moves = x.new_tensor([0] if fmt.symmetric else [0, -1, 1]).view(-1, 1, 1)
    zero = (best.zero + moves).clamp(*fmt.code_range)
    scale = grid.nearest(closed_form(x, best.scale.expand_as(zero), zero, fmt))
    better = join([best, Choice.of(x, scale, zero, fmt)], dim=0).best()
    gained = (better.error < best.error).flatten()
    if rounds > 1 and bool(gained.any()):
        again = refined(x[gained], better.of_rows(gained), fmt, grid.rows(gained), rounds - 1)
        better.put(gained, again)
    return better


def _even_overshoots(fmt: Format) -> list[float]:
    """Whole numbers that leave codes unused, then even steps up to where the grid thins out."""
    first, last = fmt.code_range
    unused = range(min(_FEWER_CODES, (last - first) // 2), 1, -1)
    even = range(round((_EVEN_UP_TO + 1) / _EVEN) + 1)
    return [-float(codes) for codes in unused] + [-1 + index * _EVEN for index in even]
