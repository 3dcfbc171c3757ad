"""Activations as the codes that integer products take."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from mpsearch.core.formats import IntFormat
from mpsearch.core.types import StaticRange
from mpsearch.kernels import Activation, quantize


@dataclass(frozen=True, slots=True, kw_only=True)
class Coder:
    """Makes codes of one operand of a layer: by a calibrated range, or rescaled for every row.

    *where* names the operand for people.
    """

    fmt: IntFormat
    static: StaticRange | None
    where: str

    def __call__(self, x: Tensor) -> Activation:
        """The codes of *x* [..., K].

        Raises:
            BadInput: a number is not finite.
        """
        first, last = self.fmt.code_range
        if self.static is None:
            return quantize(x, first, last, symmetric=self.fmt.symmetric, where=self.where)
        return quantize(x, first, last, scale=_number(self.static.scale, x.device),
                        zero=self.static.zero_point, where=self.where)


@lru_cache(maxsize=4096)
def _number(scale: float, device: torch.device) -> Tensor:
    """The same tensor at every call: making one takes longer than quantizing a few numbers."""
    return torch.tensor([scale], dtype=torch.float32, device=device)
