"""Divergence of the output when one group is quantized."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from mpsearch.sensitivity.each_group import EachGroup

if TYPE_CHECKING:  # an estimator's settings must be readable without torch
    from mpsearch.sensitivity.probe import Collector
    from mpsearch.sensitivity.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class KlProbe(EachGroup):
    """``KL(float || one group quantized)`` of the output, in nats: measured, not approximated.

    One group at a time, so what two quantized groups do to each other is not seen.
    """

    engine: ClassVar[str] = "probe"
    unit: ClassVar[str] = "nats"
    rides_along: ClassVar[bool] = True
    needs_outputs: ClassVar[bool] = True

    def collector(self, study: Study, batch: int) -> Collector:  # noqa: ARG002
        """The divergence of every sample under every scheme."""
        from mpsearch import metrics
        from mpsearch.sensitivity import measured

        return measured.PerSample(measured.by_metric(metrics.kl))
