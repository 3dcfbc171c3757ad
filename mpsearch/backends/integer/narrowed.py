"""Linear layers of which only some rows or columns are left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mpsearch.backends.integer.linear import IntLinear
from mpsearch.fakequant.cut import Cut


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Narrowed:
    """*run*, on what *cut* leaves of a layer with so many *outputs*.

    Inputs that are gone are not read, outputs that are gone are zero. The graph goes on with as
    many channels as it was captured with.
    """

    run: IntLinear
    cut: Cut
    outputs: int

    def __call__(self, operands: tuple[Any, ...]) -> Tensor:
        """The operation's output, in the type of its input."""
        x: Tensor = operands[self.run.place]
        kept = torch.tensor(self.cut.kept, device=x.device)
        given = list(operands)
        if self.cut.axis:
            given[self.run.place] = x.index_select(-1, kept)
            return self.run(tuple(given))
        at = self.run.bias
        bias: Tensor | None = operands[at] if at is not None and at < len(operands) else None
        if at is not None and bias is not None and bias.shape[-1:] == (self.outputs,):
            given[at] = bias.index_select(-1, kept)
        out = self.run(tuple(given))
        return out.new_zeros(*out.shape[:-1], self.outputs).index_copy(-1, kept, out)
