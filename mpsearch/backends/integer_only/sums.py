"""What layers with a weight add up, with the proof that 32 bits hold it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Self

import torch
from torch import Tensor

from mpsearch.backends.integer_only.builder import Builder
from mpsearch.backends.integer_only.dyadic import Dyadic
from mpsearch.backends.integer_only.grid import Grid
from mpsearch.core.errors import Unsupported

_TOO_MUCH = 1 << 31


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """A weight as rows of integers [outputs, summed], their float64 scales, and the float bias."""

    layer: str
    codes: Tensor
    scales: Tensor
    bias: Tensor | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sums:
    """The stored integers of weight and bias, and the way to the output's *grid*.

    *bias* is int32 in units of the input's scale times the row's. *dyadic* has a fraction a row.
    """

    weight: Tensor
    bias: Tensor
    dyadic: Dyadic
    grid: Grid

    @classmethod
    def of(cls, build: Builder, source: str, rows: Rows) -> Self:
        """The sums of *rows* times the value called *source*.

        Raises:
            Unsupported: absolute values of what is summed may add up to 2**31 or more.
        """
        grid = build.grid(source)
        units = [grid.scale * Fraction(each) for each in rows.scales.tolist()]
        codes = rows.codes.to(torch.int64)
        bias = torch.tensor(_whole_bias(rows, units), device=codes.device)
        up, down = codes.clamp(min=0).sum(1), codes.clamp(max=0).sum(1)
        low, high = up * grid.low + down * grid.high + bias, up * grid.high + down * grid.low + bias
        most = int(((up - down) * grid.magnitude + bias.abs()).max())
        require_room(rows.layer, most)
        scale = build.scale(max(max(abs(a), abs(b)) * unit for a, b, unit in zip(
            low.tolist(), high.tolist(), units, strict=True)))
        dyadic = Dyadic.of([unit / scale for unit in units], most, shape=(len(units),),
                           device=codes.device)
        ends = dyadic.ends(low, high)
        return cls(weight=codes.to(_narrowest(codes)), bias=bias.to(torch.int32), dyadic=dyadic,
                   grid=Grid(scale=scale, low=ends[0], high=ends[1]))


def require_room(layer: str, most: int) -> None:
    """Check that int32 holds sums of products whose absolute values add up to *most*.

    Raises:
        Unsupported: it does not.
    """
    if most >= _TOO_MUCH:
        raise Unsupported(f"layer '{layer}': its sums of products may need {most.bit_length() + 1} "
                          "bits and integer_only adds in 32: give its weight or input fewer bits")


def _whole_bias(rows: Rows, units: list[Fraction]) -> list[int]:
    """The bias in *units*, rounded; what int32 does not hold is refused."""
    if rows.bias is None:
        return [0] * len(units)
    whole = [math.floor(Fraction(each) / unit + Fraction(1, 2))
             for each, unit in zip(rows.bias.double().tolist(), units, strict=True)]
    require_room(rows.layer, max(map(abs, whole)))
    return whole


def _narrowest(codes: Tensor) -> torch.dtype:
    return Grid(scale=Fraction(1), low=int(codes.min()), high=int(codes.max())).dtype
