"""Output error weighted by the Gauss-Newton diagonal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:  # an estimator's settings must be readable without torch
    from torch import Tensor

    from mpsearch.sensitivity.replayed import Replayed


@dataclass(frozen=True, slots=True, kw_only=True)
class GaussNewton:
    """``½ E Σ h·dz²``, where ``h`` is the diagonal of the Gauss-Newton matrix at the output.

    The diagonal is estimated without labels: the mean of ``g²`` over *draws* labels drawn from the
    model's own softmax (Monte-Carlo Fisher; Kunstner et al., 2019), one backward pass each. It is
    never negative and unbiased. With one draw it is `fisher_diag`.
    """

    engine: ClassVar[str] = "replay"
    unit: ClassVar[str] = "nats"
    rides_along: ClassVar[bool] = False
    rules: ClassVar[None] = None
    draws: int = 2

    def score(self, replayed: Replayed) -> Tensor:
        """``½ Σ h·dz²`` of one layer, a sample."""
        return replayed.sum(replayed.squares[self.draws] * replayed.dz.square()) / 2

    def finish(self, contributions: Tensor) -> Tensor:
        """The sum over layers, as it is."""
        return contributions
