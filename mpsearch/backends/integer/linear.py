"""Products of activations and a packed weight, in integers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from torch import Tensor

from mpsearch.backends.integer.codes import Coder
from mpsearch.backends.integer.rules import require
from mpsearch.graph.sites import Site
from mpsearch.kernels import PackedWeight, linear

_BIAS = {"aten.linear.default": 2, "aten.addmm.default": 0}
"""Where an operation takes numbers that are added to the sums."""
_TARGETS = frozenset({*_BIAS, "aten.mm.default", "aten.matmul.default"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IntLinear:
    """Rows of an activation times a packed *weight*.

    *place* and *bias* are where the activation and the bias are among the operands.
    """

    weight: PackedWeight
    coder: Coder
    place: int
    bias: int | None

    @classmethod
    def of(cls, site: Site, weight: PackedWeight, coder: Coder) -> Self:
        """For the one operation of *site*.

        Raises:
            Unsupported: a product of another form.
        """
        target = require(site, _TARGETS)
        operand = site.calls[0].operation.input
        assert operand is not None  # noqa: S101 - products have inputs
        return cls(weight=weight, coder=coder, place=operand.index, bias=_BIAS.get(target))

    def __call__(self, operands: tuple[Any, ...]) -> Tensor:
        """The operation's output, in the type of its input."""
        x: Tensor = operands[self.place]
        at = self.bias
        bias: Tensor | None = operands[at] if at is not None and at < len(operands) else None
        own = bias if bias is not None and bias.shape == (self.weight.outputs,) else None
        out = linear(self.coder(x), self.weight, own)
        return (out if bias is None or own is not None else out + bias).to(x.dtype)
