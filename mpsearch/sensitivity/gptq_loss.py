"""The error that GPTQ's own rounding leaves at a layer's output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:  # an estimator's settings must be readable without torch
    from mpsearch.core.types import Group, LayerSpec
    from mpsearch.sensitivity.moments import Moments
    from mpsearch.sensitivity.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class GptqLoss:
    """``Σ (w - q)² / U_ii²``: the residual GPTQ adds up while it rounds (Frantar et al., 2022).

    Columns are rounded in order and each one's error is put on those that follow, so that
    ``U`` is the upper Cholesky factor of the inverse of the inputs' second moment, with *damp*
    times its mean diagonal added. The sum is the expected squared error of the layer's output, a
    sample, when weights are rounded that way: what is left after rounding well, not what plain
    rounding does. Like `output_error` it ignores how much the network depends on the layer.
    Weights only.
    """

    engine: ClassVar[str] = "moments"
    unit: ClassVar[str] = "squared output"
    rides_along: ClassVar[bool] = False
    needs_gradients: ClassVar[bool] = False
    damp: float = 0.01

    def score(self, study: Study, layer: LayerSpec, moments: Moments,
              group: Group) -> list[float]:
        """The residual of every scheme."""
        from mpsearch.sensitivity.rounding import residuals

        return residuals(study, layer, moments, group, self.damp)
