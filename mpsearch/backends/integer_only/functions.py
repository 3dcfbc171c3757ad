"""The functions of an integer program that are no sums of products."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mpsearch.backends.integer_only.lambda_gelu import lambda_shift_gelu
from mpsearch.backends.integer_only.layer_norm import normalise
from mpsearch.backends.integer_only.shift_gelu import shift_gelu
from mpsearch.backends.integer_only.shiftmax import shiftmax

PLACES = 12
"""Binary places of what goes into a softmax or a GELU."""
SOFTMAX_BITS = 16
"""Width of a softmax's result, as in I-ViT: 2**-15 is its unit."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Softmax:
    """Shiftmax over the last dimension."""

    dtype: torch.dtype

    def __call__(self, codes: Tensor) -> Tensor:
        """Probabilities in units of 2**-15."""
        return shiftmax(codes, places=PLACES, bits=SOFTMAX_BITS).to(self.dtype)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gelu:
    """ShiftGELU, or λ-ShiftGELU where the tail is *clipped* first."""

    clipped: bool
    dtype: torch.dtype

    def __call__(self, codes: Tensor) -> Tensor:
        """The function's values in the units of its argument."""
        made = (lambda_shift_gelu if self.clipped else shift_gelu)(codes, places=PLACES)
        return made.to(self.dtype)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Normalise:
    """The first half of I-LayerNorm: mean 0 and one length for all rows."""

    epsilon: int
    dtype: torch.dtype

    def __call__(self, codes: Tensor) -> Tensor:
        """Each row over its length, in units of 2**-30."""
        return normalise(codes, epsilon=self.epsilon).to(self.dtype)
