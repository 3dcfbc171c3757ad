"""Diagonal Fisher information of the output change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:  # an estimator's settings must be readable without torch
    from torch import Tensor

    from mpsearch.sensitivity.replayed import Replayed


@dataclass(frozen=True, slots=True, kw_only=True)
class FisherDiag:
    """``½ E Σ (g·dz)²``, element by element: as `fisher` without the terms between elements.

    NVIDIA ModelOpt scores with this sum. *g* is the gradient of ``-log p(y)`` at the layer's
    output, with *y* drawn from the model's own softmax. Errors of the elements of one output are
    not independent, which is what it neglects.
    """

    engine: ClassVar[str] = "replay"
    unit: ClassVar[str] = "nats"
    rides_along: ClassVar[bool] = True
    draws: ClassVar[int] = 0
    rules: ClassVar[None] = None

    def score(self, replayed: Replayed) -> Tensor:
        """``½ Σ (g·dz)²`` of one layer, a sample."""
        g = replayed.seen.g
        return replayed.weighted("g squared", lambda: g * g) / 2

    def finish(self, contributions: Tensor) -> Tensor:
        """The sum over layers, as it is."""
        return contributions
