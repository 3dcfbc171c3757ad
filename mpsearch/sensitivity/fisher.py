"""Per-sample Fisher information of the output change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:  # an estimator's settings must be readable without torch
    from torch import Tensor

    from mpsearch.sensitivity.replayed import Replayed


@dataclass(frozen=True, slots=True, kw_only=True)
class Fisher:
    """``½ E⟨g, dz⟩²``: the second-order estimate of KL(float || quantized), in nats.

    *g* is the gradient of ``-log p(y)`` at the layer's output, with *y* drawn from the model's
    own softmax, so that ``E[g gᵀ]`` is the Fisher information, which is the Hessian of that KL
    (Martens, 2020, section 5). The product is squared for each sample after summing over elements
    and over the layers of a group, which keeps the cross terms that the element-wise diagonal
    ``Σ (g·dz)²`` drops. One label is drawn a sample.
    """

    engine: ClassVar[str] = "replay"
    unit: ClassVar[str] = "nats"
    rides_along: ClassVar[bool] = True
    draws: ClassVar[int] = 0
    rules: ClassVar[None] = None

    def score(self, replayed: Replayed) -> Tensor:
        """``⟨g, dz⟩`` of one layer, a sample."""
        return replayed.slope

    def finish(self, contributions: Tensor) -> Tensor:
        """Half the square of the group's sum."""
        return contributions.square() / 2
