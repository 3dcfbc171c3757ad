"""A named or the user's own measure of the output when one group is quantized."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from mpsearch.sensitivity.each_group import EachGroup

if TYPE_CHECKING:  # an estimator's settings must be readable without torch
    from mpsearch.sensitivity.probe import Collector
    from mpsearch.sensitivity.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricProbe(EachGroup):
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

    def collector(self, study: Study, batch: int) -> Collector:  # noqa: ARG002
        """The metric of every sample under every scheme.

        Raises:
            BadInput: there is no such metric.
        """
        from mpsearch.sensitivity import measured
        from mpsearch.sensitivity.named_metrics import metric_of

        return measured.PerSample(measured.by_metric(metric_of(self.metric)))
