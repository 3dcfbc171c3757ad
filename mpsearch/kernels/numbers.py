"""Activations as sums of digits: levels of a table, or integers of more than 8 bits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from mpsearch.kernels import level_ops as _level_ops  # noqa: F401 - registers the operators
from mpsearch.kernels.activation import Activation
from mpsearch.kernels.digits import BASE, Digits

_HALF, _SHIFT = BASE // 2, 8


class Strand(NamedTuple):
    """Numbers ``unit * sum of 256**j * planes[j]``; planes are what kernels multiply."""

    unit: float
    planes: tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Numbers:
    """The sum of *strands*, times *scale* (float32, one number or one a row of codes).

    Planes are `Activation`, of which codes [..., K] and zero points count. A strand that is the
    same for all rows has only one.
    """

    strands: tuple[Strand, ...]
    scale: Tensor

    @classmethod
    def of(cls, a: Activation | Self) -> Self:
        """*a* as digits of 8 bits: exact, zero points too."""
        if not isinstance(a, Activation):
            return a
        one = a.scale.new_ones(1)
        if a.codes.dtype == torch.int8:
            planes: tuple[Activation, ...] = (Activation(a.codes, one, a.zero),)
        else:
            cut = [(each >> _SHIFT, (each & (BASE - 1)) - _HALF) for each in (a.codes, a.zero)]
            planes = tuple(Activation(codes.to(torch.int8), one, zero)
                           for codes, zero in zip(cut[0][::-1], cut[1][::-1], strict=True))
        return cls(strands=(Strand(1.0, planes),), scale=a.scale)

    @property
    def codes(self) -> Tensor:
        """The codes of the first plane; all but one-row ones have their shape."""
        first: Activation = self.strands[0].planes[0]
        return first.codes

    def along(self, run: slice, scale: Tensor) -> Self:
        """The numbers of a *run* of inputs, with a *scale* of their own."""
        return self._each(lambda a: a._replace(codes=a.codes[..., run]), scale)

    def viewed(self, shape: Sequence[int], scale: Tensor) -> Self:
        """The same numbers in another *shape* [..., K], with these scales.

        What is the same for all rows stays one row.
        """
        rows = self.codes.numel()
        one = (*[1] * (len(shape) - 1), shape[-1])
        return self._each(lambda a: a._replace(codes=a.codes.reshape(
            shape if a.codes.numel() == rows else one)), scale)

    def images(self, shape: Sequence[int]) -> Self:
        """Rows as images, [B, C, H, W]; what is the same for all is one image."""
        return self._each(lambda a: a._replace(codes=a.codes.reshape(-1, *shape[1:])), self.scale)

    def row(self, i: int) -> Self:
        """Row *i* of numbers [M, K], as a matrix."""
        def chosen(table: Tensor) -> Tensor:
            return table[i: i + 1] if len(table) > 1 else table

        return self._each(lambda a: Activation(chosen(a.codes), a.scale, chosen(a.zero)),
                          chosen(self.scale))

    def _each(self, change: Callable[[Activation], Activation], scale: Tensor) -> Self:
        strands = tuple(Strand(unit, tuple(map(change, planes))) for unit, planes in self.strands)
        return type(self)(strands=strands, scale=scale)

    @property
    def plain(self) -> Activation | Self:
        """An `Activation` where there is one plane, which kernels multiply with less ado."""
        unit, planes = self.strands[0]
        if len(self.strands) > 1 or len(planes) > 1:
            return self
        only: Activation = planes[0]
        return only._replace(scale=self.scale * unit)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ladder:
    """Rising levels, and where one turns into the next.

    *bounds* are float32 [2**b - 1], infinite where there are fewer levels; *digits* int8
    [planes, 2**b] are those of all levels; *strands* hold their unit, number of planes and zero
    point.
    """

    bounds: Tensor
    digits: Tensor
    strands: tuple[tuple[float, int, int], ...]

    @classmethod
    def of(cls, bounds: Tensor, strands: Sequence[tuple[float, Sequence[int]]]) -> Self:
        """Levels are the sum of ``unit * whole`` over *strands*, with *bounds* between them."""
        bits = max(1, len(bounds).bit_length())
        missing = (1 << bits) - 1 - len(bounds)
        made = [Digits.of([*whole, *[whole[-1]] * missing]) for _, whole in strands]
        infinite = bounds.new_full((missing,), torch.inf)
        return cls(bounds=torch.cat([bounds, infinite]).float().contiguous(),
                   digits=torch.cat([each.codes for each in made]),
                   strands=tuple((unit, len(each.codes), each.zero)
                                 for (unit, _), each in zip(strands, made, strict=True)))


def nearest(x: Tensor, ladder: Ladder, scale: Tensor, shift: float = 0.0,
            where: str = "") -> Numbers:
    """The levels nearest to (*x* - shift) / scale, times the scale, plus the shift.

    *x* is [..., K], *scale* float32 of one number or one a row. A number at a bound belongs to the
    level below it.

    Raises:
        BadInput: a number is NaN or infinite; *where* says whose they are.
    """
    rows = x.detach().float().reshape(-1, x.shape[-1])
    own = scale.reshape(-1).contiguous()
    planes = torch.ops.mpsearch.level_digits(rows, own, shift, ladder.bounds, ladder.digits, where)
    one, at, strands = own.new_ones(1), 0, []
    for unit, count, zero in ladder.strands:
        of_all = torch.tensor([zero], dtype=torch.int32)
        strands.append(Strand(unit, tuple(Activation(each.view(x.shape), one, of_all)
                                          for each in planes[at: at + count])))
        at += count
    if shift:  # one more number in every place; its scale is the only one
        ones = torch.ones((*[1] * (x.dim() - 1), x.shape[-1]), dtype=torch.int8)
        none = torch.zeros(1, dtype=torch.int32)
        strands.append(Strand(shift / float(own), (Activation(ones, one, none),)))
    return Numbers(strands=tuple(strands), scale=own)
