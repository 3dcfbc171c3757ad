"""Activations as the codes that integer products take."""

from __future__ import annotations

from dataclasses import dataclass

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
        scale = x.new_tensor(self.static.scale, dtype=torch.float32)
        return quantize(x, first, last, scale=scale, zero=self.static.zero_point,
                        where=self.where)
