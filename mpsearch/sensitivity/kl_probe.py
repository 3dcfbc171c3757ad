"""Divergence of the output when one group is quantized."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:  # an estimator's settings must be readable without torch
    from mpsearch.core.types import ScoreTable
    from mpsearch.sensitivity.probe import Collector
    from mpsearch.sensitivity.study import Rows, Study


@dataclass(frozen=True, slots=True, kw_only=True)
class KlProbe:
    """``KL(float || one group quantized)`` of the output, in nats: measured, not approximated.

    One group at a time, so what two quantized groups do to each other is not seen.
    """

    engine: ClassVar[str] = "probe"
    unit: ClassVar[str] = "nats"
    rides_along: ClassVar[bool] = True
    needs_outputs: ClassVar[bool] = True

    def units(self, study: Study) -> list[str]:
        """One a batch and group."""
        from mpsearch.sensitivity import measured

        return measured.units(study)

    def collector(self, study: Study, batch: int) -> Collector:  # noqa: ARG002
        """The divergence of every sample under every scheme."""
        from mpsearch import metrics
        from mpsearch.sensitivity import measured

        return measured.PerSample(measured.by_metric(metrics.kl))

    def table(self, name: str, study: Study, rows: Mapping[str, Rows]) -> ScoreTable:
        """Means over samples."""
        from mpsearch.sensitivity import measured

        return measured.means(name, self.unit, study, rows)
