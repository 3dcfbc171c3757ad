"""Squared error of the quantized weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:  # an estimator's settings must be readable without torch
    from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightError:
    """``||W - Q(W)||²``, summed over elements. Needs no data.

    It ignores what a layer's inputs look like and how much the output depends on it: a baseline.
    """

    engine: ClassVar[str] = "weights"
    unit: ClassVar[str] = "squared weight"
    rides_along: ClassVar[bool] = True

    def score(self, weight: Tensor, quantized: Tensor) -> float:
        """The squared Frobenius norm of the error."""
        return float((weight.double() - quantized.double()).square().sum())
