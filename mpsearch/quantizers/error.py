"""How far the numbers of a slice are from what their codes stand for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from mpsearch.core.formats import IntFormat
from mpsearch.quantizers.base import Params
from mpsearch.quantizers.scales import ScaleGrid

# Numbers coded at once: few enough to stay in a core's caches, enough to outweigh the cost of the
# calls. A graphics processor needs more to be busy.
_TILE_ON_CPU = 1 << 18
_TILE_ELSEWHERE = 1 << 23


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Scales and zero points for each slice, and the squared errors they lead to.

    All are float32, in units of a `ScaleGrid`, and of shape [G, S, 1] for G candidates a slice;
    zero points are whole numbers.
    """

    scale: Tensor
    zero: Tensor
    error: Tensor

    @classmethod
    def of(cls, x: Tensor, scale: Tensor, zero: Tensor, fmt: IntFormat) -> Self:
        """*scale* and *zero* with their errors on *x* ([S, length], in units)."""
        error = torch.zeros_like(scale)
        for rows, tile, codes in _coded(x, scale, zero, fmt):
            rest = torch.addcmul(tile, codes, scale[:, rows], value=-1, out=codes)
            error[:, rows] += rest.square_().sum(-1, keepdim=True)
        return cls(scale=scale, zero=zero.expand_as(scale), error=error)

    def best(self) -> Choice:
        """For each slice the candidate of least error, the first where several have it; G = 1."""
        first = self.error.argmin(0, keepdim=True)
        return Choice(scale=self.scale.gather(0, first), zero=self.zero.gather(0, first),
                      error=self.error.gather(0, first))

    def rows(self, rows: Tensor) -> Choice:
        """The choices for the slices with these indices."""
        return Choice(scale=self.scale[:, rows], zero=self.zero[:, rows],
                      error=self.error[:, rows])

    def with_rows(self, rows: Tensor, other: Choice) -> Choice:
        """These choices with those for the slices with these indices taken from *other*."""
        return Choice(scale=self.scale.index_copy(1, rows, other.scale),
                      zero=self.zero.index_copy(1, rows, other.zero),
                      error=self.error.index_copy(1, rows, other.error))


def join(choices: Sequence[Choice], *, dim: int) -> Choice:
    """More candidates (*dim* 0) or more slices (*dim* 1)."""
    return Choice(scale=torch.cat([choice.scale for choice in choices], dim),
                  zero=torch.cat([choice.zero for choice in choices], dim),
                  error=torch.cat([choice.error for choice in choices], dim))


def params_of(choices: Sequence[Choice], grid: ScaleGrid) -> Params:
    """The parameters of a whole tensor from the choices for its blocks, in their order."""
    whole = join(choices, dim=1)
    return Params(scale=grid.from_units(whole.scale[0]), zero_point=whole.zero[0].int())


def closed_form(x: Tensor, scale: Tensor, zero: Tensor, fmt: IntFormat) -> Tensor:
    """The scales of least squared error if the codes that *scale* and *zero* give are kept.

    With c the codes less the zero point this is <x, c> / <c, c>, here as a correction to *scale*
    by the residual r = x - scale c, which loses no digits where the residual is small.
    """
    slope, energy = torch.zeros_like(scale), torch.zeros_like(scale)
    for rows, tile, codes in _coded(x, scale, zero, fmt):
        rest = torch.addcmul(tile, codes, scale[:, rows], value=-1)
        slope[:, rows] += rest.mul_(codes).sum(-1, keepdim=True)
        energy[:, rows] += codes.square_().sum(-1, keepdim=True)
    return scale + slope / energy.clamp(min=1)


def _coded(
    x: Tensor, scale: Tensor, zero: Tensor, fmt: IntFormat
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Tiles of *x*, the rows they are from, and their codes less the zero point, [G, rows, n].

    Codes are found as the quantizer finds them. Tiles are small enough for the cache.
    """
    first, last = fmt.code_range
    lowest, highest = first - zero, last - zero
    limit = _TILE_ON_CPU if x.device.type == "cpu" else _TILE_ELSEWHERE
    room = max(1, limit // len(scale))
    height = max(1, room // x.shape[1])
    for start in range(0, len(x), height):
        rows = slice(start, start + height)
        for column in range(0, x.shape[1], room):
            tile = x[rows, column : column + room]
            codes = (tile / scale[:, rows]).round_()
            torch.maximum(codes, lowest[:, rows], out=codes)
            yield rows, tile, torch.minimum(codes, highest[:, rows], out=codes)
