"""Average curvature of the loss in each weight, times its squared error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from mpsearch.core.errors import BadInput


@dataclass(frozen=True, slots=True, kw_only=True)
class HessianTrace:
    """``½ (tr(H)/n) ||W - Q(W)||²``, in nats: HAWQ-V2 (Dong et al., 2020). Weights only.

    H is the mean over samples of the Hessian of the loss in a layer's n weights. Its trace is
    Hutchinson's estimate: the mean of ``vᵀHv`` over *probes* vectors of random signs, through
    Hessian-vector products (a backward pass through a backward pass). One product serves all
    layers: the signs of different layers are independent, so that what couples two layers has
    mean zero and adds to the spread only. A probe draws the same signs for all samples. The
    standard error is that over probes. Weights of a group add up.

    With *loss* ``model``, the loss is KL(p || softmax(z)) at p the model's own prediction. Its
    gradient at the output is zero, so H is the Gauss-Newton matrix, which is the Fisher
    information, and no label is needed. ``labels`` is the cross-entropy against the data's labels,
    as published; its H also has the curvature of the network, need not be positive, and tends to
    vanish on data the model has fitted.

    What couples layers is noise: in a small transformer the spread was two to four times that of
    products for each layer alone, and it is worse for a layer whose curvature is small next to
    another's. Look at the standard error, and take more probes where it is large.

    The trace is spread evenly over the weights: that the error may lie where the curvature is, or
    is not, goes unseen. An estimate below zero counts as zero.
    """

    engine: ClassVar[str] = "curvature"
    unit: ClassVar[str] = "nats"
    rides_along: ClassVar[bool] = False
    probes: int = 8
    loss: Literal["model", "labels"] = "model"

    def __post_init__(self) -> None:
        if self.probes < 1:
            raise BadInput(f"hessian_trace needs at least one probe, not {self.probes}")

    def factor(self, trace: float, weights: int) -> float:
        """What a squared error of the layer's *weights* is multiplied with."""
        return trace / weights / 2
