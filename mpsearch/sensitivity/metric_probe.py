"""A named or the user's own measure of the output when one group is quantized."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:  # an estimator's settings must be readable without torch
    from mpsearch.core.types import ScoreTable
    from mpsearch.sensitivity.probe import Collector
    from mpsearch.sensitivity.study import Rows, Study


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricProbe:
    """How far the output moves by *metric* when one group alone is quantized.

    *metric* is ``kl``, ``top1`` (share of changed predictions), ``cosine`` (one minus the cosine),
    ``sqnr`` (noise over signal), ``ssim`` (one minus the structural similarity of image outputs),
    or ``package.module:function`` of the float and the changed output, one number a sample, zero
    for equal outputs and larger for worse.
    """

    engine: ClassVar[str] = "probe"
    unit: ClassVar[str] = "metric"
    rides_along: ClassVar[bool] = False
    needs_outputs: ClassVar[bool] = True
    metric: str = "cosine"

    def units(self, study: Study) -> list[str]:
        """One a batch and group."""
        from mpsearch.sensitivity import measured

        return measured.units(study)

    def collector(self, study: Study, batch: int) -> Collector:  # noqa: ARG002
        """The metric of every sample under every scheme.

        Raises:
            BadInput: there is no such metric.
        """
        from mpsearch.sensitivity import measured
        from mpsearch.sensitivity.named_metrics import metric_of

        return measured.PerSample(measured.by_metric(metric_of(self.metric)))

    def table(self, name: str, study: Study, rows: Mapping[str, Rows]) -> ScoreTable:
        """Means over samples."""
        from mpsearch.sensitivity import measured

        return measured.means(name, self.unit, study, rows)
