"""Largest curvature of the loss in each weight, times its squared error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from mpsearch.core.errors import BadInput


@dataclass(frozen=True, slots=True, kw_only=True)
class HessianTop:
    """``½ λ ||W - Q(W)||²``, in nats: HAWQ (Dong et al., 2019). Weights only.

    λ is the largest eigenvalue of the mean over samples of the Hessian of the loss in the weights
    of one layer (the layer's own block), by power iteration with Hessian-vector products; what is
    reported is the last Rayleigh quotient, which approaches λ from below. It is an upper bound of
    the second-order loss for an error of that size, reached only if the error lies along one
    direction; rounding errors do not, and the bound is loose by orders of magnitude for large
    layers. HAWQ orders layers by it; as a sum over layers, prefer `hessian_trace`.

    H is measured on the first *samples* calibration samples. *loss* is as in `hessian_trace`; with
    ``labels`` the eigenvalue of largest magnitude may be negative, which counts as zero. Weights
    of a group add up.
    """

    engine: ClassVar[str] = "power"
    unit: ClassVar[str] = "nats"
    rides_along: ClassVar[bool] = False
    iterations: int = 8
    samples: int = 32
    loss: Literal["model", "labels"] = "model"

    def __post_init__(self) -> None:
        if min(self.iterations, self.samples) < 1:
            raise BadInput("hessian_top needs at least one iteration and one sample")

    def factor(self, top: float) -> float:
        """What a squared error of the layer's weight is multiplied with."""
        return max(0.0, top) / 2
