"""Tensors as rows of numbers that lie side by side in memory, for what goes number by number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from torch import Tensor

from mpsearch.quantizers.layout import Layout

_SHORT = 64  # numbers in a row below which it is better to copy them


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The numbers *x* [R, L] of a tensor; each row lies in one piece, in a slice of its own.

    Where all numbers are one slice, rows are those of the memory, in its order, so that parts of a
    larger tensor and transposed ones need not be copied.
    """

    x: Tensor
    layout: Layout
    order: tuple[int, ...] | None

    @classmethod
    def of(cls, x: Tensor, layout: Layout) -> Self:
        """The rows of *x*, which is a view of it where its strides allow."""
        if layout.slices != 1 or not x.numel():
            rows = layout.to_slices(x)
            return cls(x=rows if rows.stride(-1) == 1 else rows.contiguous(), layout=layout,
                       order=None)
        order = tuple(sorted(range(x.dim()), key=x.stride, reverse=True))
        return cls(x=_in_pieces(x.permute(order)), layout=layout, order=order)

    def back(self, y: Tensor) -> Tensor:
        """*y* [R, L], which lies in one piece, as a tensor of the shape that the rows were of."""
        if self.order is None:
            return self.layout.from_slices(y).contiguous()
        shape = self.layout.shape
        turned = y.view([shape[dim] for dim in self.order])
        return turned.permute([self.order.index(dim) for dim in range(len(shape))])


def _in_pieces(x: Tensor) -> Tensor:
    """*x*, whose strides fall, as the longest rows without a gap."""
    length = 1
    for size, stride in zip(reversed(x.shape), reversed(x.stride()), strict=True):
        if size != 1 and stride != length:
            break
        length *= size
    if length < _SHORT:
        return x.contiguous().view(1, -1)
    return x.reshape(-1, length)
