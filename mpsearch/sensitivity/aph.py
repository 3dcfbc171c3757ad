"""Output error weighted by a curvature from perturbed outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from mpsearch.core.errors import BadInput

if TYPE_CHECKING:  # an estimator's settings must be readable without torch
    from torch import Tensor

# On pre-norm transformers in float32, with and without channels of 60 times the size, 1e-2 gives H
# within 2 % of float64; 1e-3 loses up to 13 % to rounding, 1e-1 up to 49 % to curvature.
_STEPS = {"ones": 1e-6, "random": 1e-2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Aph:
    """``½ E Σ H·dz²`` at each layer's output, H from two perturbed passes: after APHQ-ViT.

    The output z of a layer is moved to ``z ± step·v`` and ``g±`` are the gradients there of
    KL(p || softmax(logits/T)), with p the model's own prediction at temperature T (*temperature*).
    ``dz`` is what a scheme changes. Sites and layers of a group add up. The unit is the nat of
    the softened prediction (about ``1/T²`` of a nat).

    *signs* ``random``: v are random signs, drawn for each sample, the step is *step* times the
    root mean square of the sample's z, and ``H = v·(g₊ - g₋)/(2 step)``, which is Hutchinson's
    estimate of the Hessian's diagonal and unbiased but for terms of the step squared. With one
    draw a sample, single elements can be negative; their sum over many is not, and a total below
    zero counts as zero.

    *signs* ``ones`` is as published (Wu et al., 2025): v is all ones, ``H = |g₊ - g₋|``, not
    divided by the step, which defaults to 1e-6. Beware: this is ``H·1``, the sum over a row, not
    the diagonal. In a transformer that normalizes before each block, moving all channels of a
    block's output changes nothing, so that its exact value there is zero and what is measured is
    rounding noise.

    Two deviations: the published H is that of a block's output and averaged over images. Here it
    is that of each layer's own output, and kept for each sample, so that samples do not depend on
    those they share a batch with (but for ``ones`` at an output that all samples share, such as
    that of a position embedding: there it is that of the batch). `gauss_newton` estimates the
    same diagonal with less spread.
    """

    engine: ClassVar[str] = "tail"
    unit: ClassVar[str] = "softened nats"
    rides_along: ClassVar[bool] = False
    signs: Literal["ones", "random"] = "random"
    step: float | None = None
    temperature: float = 20.0

    def __post_init__(self) -> None:
        if self.temperature <= 0 or (self.step is not None and self.step <= 0):
            raise BadInput("aph needs a step and a temperature above zero")

    def move(self, uniforms: Tensor, scale: Tensor) -> Tensor:
        """``step·v`` from numbers drawn from [0, 1), and the outputs' root mean squares."""
        step = _STEPS[self.signs] if self.step is None else self.step
        if self.signs == "ones":
            return uniforms.new_full(uniforms.shape, step)
        return ((uniforms < 0.5).to(uniforms) * 2 - 1) * step * scale  # noqa: PLR2004 - heads

    def diagonal(self, move: Tensor, change: Tensor) -> Tensor:
        """H from the *move* and the *change* of the gradient between its two ends."""
        if self.signs == "ones":
            return change.abs()
        return change / (2 * move)  # signs are their own inverse

    def loss(self, reference: Tensor, output: Tensor) -> Tensor:
        """The divergence whose gradients are compared, but for a constant."""
        from mpsearch.sensitivity.losses import cross_entropy

        return cross_entropy(reference, output, self.temperature)
