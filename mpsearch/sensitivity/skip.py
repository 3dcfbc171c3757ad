"""What the network loses without a layer, times the noise that a scheme puts on the layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from mpsearch.sensitivity.each_group import EachGroup

if TYPE_CHECKING:  # an estimator's settings must be readable without torch
    from mpsearch.sensitivity.probe import Collector
    from mpsearch.sensitivity.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip(EachGroup):
    """``KL(float || layer bypassed) · Σ dz² / Σ z²``: relevance by skipping (RelaCtrl, 2025).

    A layer whose output has the shape of its input passes it on as it is (its weight becomes the
    identity); where shapes do not allow that, its weight becomes zero, and a product of
    activations loses its first factor. The second factor is the noise over signal that a scheme
    puts on the layer's output. One bypass a group stands for all its schemes, so it is cheap.
    """

    engine: ClassVar[str] = "probe"
    unit: ClassVar[str] = "nats times noise over signal"
    rides_along: ClassVar[bool] = False
    needs_outputs: ClassVar[bool] = False

    def collector(self, study: Study, batch: int) -> Collector:  # noqa: ARG002
        """One bypass a group, and the noise of each of its schemes."""
        from mpsearch.sensitivity.bypass import relevant_noise
        from mpsearch.sensitivity.measured import PerSample

        return PerSample(relevant_noise)
