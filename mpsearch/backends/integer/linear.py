"""Products of activations and a packed weight, in integers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from mpsearch.backends.integer.blocks import Blocks, added, along
from mpsearch.backends.integer.codes import Coder, Operand
from mpsearch.backends.integer.rules import require
from mpsearch.backends.integer.weights import Matrices, Packed
from mpsearch.graph.sites import Site
from mpsearch.kernels import Activation, PackedWeight, any_linear

_BIAS = {"aten.linear.default": 2, "aten.addmm.default": 0, "aten.baddbmm.default": 0}
"""Where an operation takes numbers that are added to the sums."""
_TARGETS = frozenset({*_BIAS, "aten.mm.default", "aten.bmm.default", "aten.matmul.default"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IntLinear:
    """Rows of an activation times a packed *weight*, or matrices times a stack of them.

    *place* and *bias* are where the activation and the bias are among the operands.
    """

    weight: Matrices
    coder: Coder
    place: int
    bias: int | None

    @classmethod
    def of(cls, site: Site, weight: Matrices, coder: Coder) -> Self:
        """For the one operation of *site*.

        Raises:
            Unsupported: a product of another form.
        """
        target = require(site, _TARGETS)
        operand = site.calls[0].operation.input
        assert operand is not None  # noqa: S101 - products have inputs
        return cls(weight=weight, coder=coder, place=operand.index, bias=_BIAS.get(target))

    @property
    def one_matrix(self) -> bool:
        """Whether the weight is one packed matrix, which can run with what follows."""
        weight = self.weight
        return (not weight.shape and not weight.vector and len(weight.parts[0]) == 1
                and isinstance(weight.parts[0][0], PackedWeight))

    def factors(self, operands: tuple[Any, ...]) -> tuple[Activation, PackedWeight]:
        """The codes of the input, and the one matrix."""
        x, weight = operands[self.place], self.weight.parts[0][0]
        a = x if isinstance(x, Activation) else self.coder(x)
        assert isinstance(a, Activation)  # noqa: S101 - it is one matrix
        assert isinstance(weight, PackedWeight)  # noqa: S101 - it is one matrix
        return a, weight

    def added(self, operands: tuple[Any, ...]) -> Tensor | None:
        """What the operation adds to the product."""
        at = self.bias
        return operands[at] if at is not None and at < len(operands) else None

    def is_bias(self, added: Tensor | None) -> bool:
        """Whether what is *added* has a number an output."""
        return added is not None and added.shape == (self.weight.outputs,)

    def __call__(self, operands: tuple[Any, ...]) -> Tensor:
        """The operation's output, in the type of its input, which may be codes already."""
        x: Tensor | Activation = operands[self.place]
        kind = torch.float32 if isinstance(x, Activation) else x.dtype
        bias = self.added(operands)
        if self.weight.shape:
            assert not isinstance(x, Activation)  # noqa: S101 - it is no one matrix
            out = self._stacked(x)
            return (out if bias is None else out + bias).to(kind)
        own = bias if self.is_bias(bias) else None
        a = x if isinstance(x, Activation) else self.coder(x)
        out = self._product(a, self.weight.parts[0], own)
        out = out.squeeze(-1) if self.weight.vector else out
        return (out if bias is None or own is not None else out + bias).to(kind)

    def _product(self, a: Operand, parts: tuple[Packed, ...], bias: Tensor | None) -> Tensor:
        if not isinstance(a, Blocks):
            return any_linear(a, parts[0], bias)
        out = added(any_linear(along(a, run), part)
                    for run, part in zip(self.weight.runs, parts, strict=True))
        return out if bias is None else out + bias

    def _stacked(self, x: Tensor) -> Tensor:
        """A product for each matrix of the stack; rows are coded by themselves."""
        rows = x.unsqueeze(0) if x.dim() == 1 else x
        batch: torch.Size = torch.broadcast_shapes(  # type: ignore[no-untyped-call]
            rows.shape[:-2], self.weight.shape)
        spread = rows.expand(*batch, *rows.shape[-2:])
        stack = len(self.weight.shape)
        matrices = batch[len(batch) - stack:].numel()
        flat = spread.reshape(*batch[: len(batch) - stack], matrices, *rows.shape[-2:])
        places = torch.arange(len(self.weight.parts)).view(self.weight.shape)
        order = places.expand(batch[len(batch) - stack:]).flatten().tolist()
        outs = [self._product(self.coder(flat[..., i, :, :]), self.weight.parts[place], None)
                for i, place in enumerate(order)]
        out = torch.stack(outs, -3).view(*batch, rows.shape[-2], self.weight.outputs)
        return out.squeeze(-2) if x.dim() == 1 else out
