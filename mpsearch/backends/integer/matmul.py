"""Products of two activations, as attention has them, in integers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from mpsearch.backends.integer.blocks import Blocks, added, along, edges
from mpsearch.backends.integer.codes import Coder, IntegerCoder, Operand
from mpsearch.backends.integer.rules import require
from mpsearch.graph.sites import Site
from mpsearch.kernels import any_matmul

_TARGETS = frozenset({"aten.matmul.default", "aten.bmm.default", "aten.mm.default",
                      "aten.addmm.default", "aten.baddbmm.default"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IntMatmul:
    """The product of *left* [..., M, K] and *right* [..., K, N], batches spread over each other."""

    left: Coder
    right: Coder

    def __call__(self, left: Tensor, right: Tensor) -> Tensor:
        """[..., M, N] in the type of *left*."""
        if left.shape[:-2] != right.shape[:-2]:
            batch: torch.Size = torch.broadcast_shapes(  # type: ignore[no-untyped-call]
                left.shape[:-2], right.shape[:-2])
            left, right = (x.expand(*batch, *x.shape[-2:]) for x in (left, right))
        return _product(self.left(left), self._turned(right)).to(left.dtype)

    def _turned(self, right: Tensor) -> Operand:
        """The codes of [..., K, N] as [..., N, K]."""
        if isinstance(self.right, IntegerCoder) and self.right.static and right.stride(-2) != 1:
            found = self.right(right)  # one scale: codes may be turned instead of numbers
            return found._replace(codes=found.codes.transpose(-2, -1))
        return self.right(right.transpose(-2, -1))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Added:
    """A *product* as an operation of its own, whose operands may begin with what is added to it."""

    product: IntMatmul
    first: int

    @classmethod
    def of(cls, site: Site, product: IntMatmul) -> Self:
        """For the one operation of *site*.

        Raises:
            Unsupported: a product of another form.
        """
        require(site, _TARGETS)
        operand = site.calls[0].operation.input
        assert operand is not None  # noqa: S101 - products have inputs
        return cls(product=product, first=operand.index)

    def __call__(self, operands: tuple[Any, ...]) -> Tensor:
        """The operation's output."""
        left, right = operands[self.first: self.first + 2]
        out = self.product(_matrix(left, 0), _matrix(right, -1))
        out = out.squeeze(-2) if left.dim() == 1 else out
        out = out.squeeze(-1) if right.dim() == 1 else out
        return out + operands[0] if self.first else out


def _product(a: Operand, b: Operand) -> Tensor:
    sizes = [each.size if isinstance(each, Blocks) else None for each in (a, b)]
    if not isinstance(a, Blocks) and not isinstance(b, Blocks):
        return any_matmul(a, b)
    return added(any_matmul(along(a, run), along(b, run))
                 for run in edges(a.codes.shape[-1], *sizes))


def _matrix(x: Tensor, dim: int) -> Tensor:
    return x.unsqueeze(dim) if x.dim() == 1 else x
