"""Output error weighted by the Gauss-Newton diagonal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:  # an estimator's settings must be readable without torch
    from torch import Tensor

    from mpsearch.sensitivity.replayed import Replayed, Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class GaussNewton:
    """``½ E Σ h·dz²``, where ``h`` is the diagonal of the Gauss-Newton matrix at the output.

    The diagonal is estimated without labels: the mean of ``g²`` over *draws* labels drawn from the
    model's own softmax (Monte-Carlo Fisher; Kunstner et al., 2019), one backward pass each. It is
    never negative and unbiased, and noisy with few draws: with *factored* the squares of one sample
    are replaced by the product of their sums over tokens and over channels (as Adafactor keeps
    second moments; Shazeer & Stern, 2018), which is smoother and no longer unbiased. With one
    draw that is not factored it is `fisher_diag`.
    """

    engine: ClassVar[str] = "replay"
    unit: ClassVar[str] = "nats"
    rides_along: ClassVar[bool] = False
    rules: ClassVar[None] = None
    draws: int = 1
    factored: bool = True

    def score(self, replayed: Replayed) -> Tensor:
        """``½ Σ h·dz²`` of one layer, a sample."""
        name = f"gauss_newton {self.draws} {self.factored}"
        return replayed.weighted(name, lambda: self._diagonal(replayed.seen)) / 2

    def _diagonal(self, seen: Seen) -> Tensor:
        squares = seen.squares[self.draws]
        if not self.factored or squares.dim() < 3:  # noqa: PLR2004 - no tokens beside channels
            return squares
        flat = squares.flatten(2)
        rows, columns = flat.sum(2, keepdim=True), flat.sum(1, keepdim=True)
        return (rows * columns / rows.sum(1, keepdim=True).clamp(min=1e-30)).view_as(squares)

    def finish(self, contributions: Tensor) -> Tensor:
        """The sum over layers, as it is."""
        return contributions
