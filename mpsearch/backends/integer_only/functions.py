"""The functions of an integer program that are no sums of products."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from mpsearch.backends.integer_only.lambda_gelu import lambda_shift_gelu
from mpsearch.backends.integer_only.layer_norm import normalise
from mpsearch.backends.integer_only.shift_gelu import shift_gelu
from mpsearch.backends.integer_only.shiftmax import shiftmax
from mpsearch.backends.integer_only.tanh_gelu import tanh_gelu

MOST_PLACES = 16
"""Binary places of what goes into a softmax or a GELU, where the range leaves room for so many."""
SOFTMAX_BITS = 16
"""Width of a softmax's result, as in I-ViT: 2**-15 is its unit."""
GeluKind = Literal["tanh", "lambda", "shift"]
_GELUS: dict[GeluKind, Callable[..., Tensor]] = {
    "tanh": tanh_gelu, "lambda": lambda_shift_gelu, "shift": shift_gelu}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Softmax:
    """Shiftmax over the last dimension of numbers with so many binary *places*."""

    places: int
    dtype: torch.dtype

    def __call__(self, codes: Tensor) -> Tensor:
        """Probabilities in units of 2**-15."""
        return shiftmax(codes, places=self.places, bits=SOFTMAX_BITS).to(self.dtype)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gelu:
    """GELU in one of three ways, of numbers with so many binary *places*."""

    kind: GeluKind
    places: int
    dtype: torch.dtype

    def __call__(self, codes: Tensor) -> Tensor:
        """The function's values in the units of its argument."""
        return _GELUS[self.kind](codes, places=self.places).to(self.dtype)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Normalise:
    """The first half of I-LayerNorm: mean 0 and one length for all rows."""

    epsilon: int
    dtype: torch.dtype

    def __call__(self, codes: Tensor) -> Tensor:
        """Each row over its length, in units of 2**-30."""
        return normalise(codes, epsilon=self.epsilon).to(self.dtype)
