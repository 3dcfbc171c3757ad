"""Kronecker-factored curvature of the weight error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:  # an estimator's settings must be readable without torch
    from mpsearch.core.types import Group, LayerSpec
    from mpsearch.sensitivity.moments import Moments
    from mpsearch.sensitivity.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Kfac:
    """``½ T tr(ΔW A ΔWᵀ G)``: the weight error under Kronecker-factored Fisher information.

    *A* is the mean over positions of ``a aᵀ`` (inputs), *G* that of ``g gᵀ`` (output gradients of
    ``-log p(y)``, y drawn from the model), T the positions a sample (Martens & Grosse, 2015; the
    "expand" setting of Eschenhagen et al., 2023, for tokens; Grosse & Martens, 2016, for
    convolutions). It supposes that inputs and gradients are independent of each other and from
    one position to the next. At most 64 positions a sample are looked at. Weights only.
    """

    engine: ClassVar[str] = "moments"
    unit: ClassVar[str] = "nats"
    rides_along: ClassVar[bool] = False
    needs_gradients: ClassVar[bool] = True

    def score(self, study: Study, layer: LayerSpec, moments: Moments,
              group: Group) -> list[float]:
        """The trace, for the weight error of every scheme."""
        from mpsearch.sensitivity.rounding import kronecker

        return kronecker(study, layer, moments, group)
