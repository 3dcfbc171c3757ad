"""Run policies on held-out data against the float model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mpsearch import metrics, plugins
from mpsearch.core.errors import BadInput
from mpsearch.core.types import Evaluation, Scheme, StaticRange
from mpsearch.graph.finite import require_finite
from mpsearch.sources.batch import Batch, Batches, check_labels
from mpsearch.steps.capture import Captured
from mpsearch.steps.measurement import Measurement


class Evaluator:
    """The float model's outputs on held-out batches, and any policy measured against them.

    Raises:
        BadInput: outputs that are not finite, or labels beyond the model's classes.
    """

    def __init__(self, captured: Captured, batches: Batches) -> None:
        self._captured, self._batches = captured, batches
        self._references: list[Tensor] = []
        with torch.no_grad():
            for batch in batches:
                output = captured.program.run(batch.args)
                require_finite(captured.program, batch.args, output)
                require_fitting_labels(batch, output)
                self._references.append(output)
        check_labels(batches, self._references[0].shape[metrics.class_dim(self._references[0])])

    def __call__(self, schemes: Mapping[str, Scheme],
                 ranges: Mapping[str, Mapping[str, StaticRange]], *,
                 backend: str = "simulated") -> Measurement:
        """Measure the policy of *schemes* as *backend* runs it."""
        module = plugins.make("backend", backend)(
            self._captured.program, self._captured.fake, schemes, ranges)
        return self._measure(module)

    @torch.no_grad()
    def _measure(self, module: nn.Module) -> Measurement:
        kl: list[float] = []
        agree: list[float] = []
        right: list[float] = []
        float_right: list[float] = []
        for batch, reference in zip(self._batches, self._references, strict=True):
            output = module(*batch.args)
            if not bool(torch.isfinite(output).all()):
                raise BadInput("the quantized model's output is not finite: allow more bits")
            kl += metrics.kl(reference, output).tolist()
            agree += metrics.agreement(reference, output).tolist()
            if batch.labels is not None:
                right += metrics.correct(output, batch.labels).tolist()
                float_right += metrics.correct(reference, batch.labels).tolist()
        return Measurement(kl=tuple(kl), evaluation=_summary(kl, agree, right, float_right))


def require_fitting_labels(batch: Batch, output: Tensor) -> None:
    """Check that *output* has classes where the labels of *batch* have one.

    Raises:
        BadInput: it does not.
    """
    positions = output.argmax(metrics.class_dim(output)).shape
    if batch.labels is not None and batch.labels.shape != positions:
        raise BadInput(f"one label a sample does not fit an output of shape {tuple(output.shape)}: "
                       "give the data without labels")


def _summary(kl: Sequence[float], agree: Sequence[float], right: Sequence[float],
             float_right: Sequence[float]) -> Evaluation:
    labelled = len(right) == len(kl)
    top1, top1_stderr = mean_with_error(right) if labelled else (None, None)
    mean_kl, kl_stderr = mean_with_error(kl)
    mean_agreement, agreement_stderr = mean_with_error(agree)
    return Evaluation(
        samples=len(kl), kl=mean_kl, kl_stderr=kl_stderr, agreement=mean_agreement,
        agreement_stderr=agreement_stderr, top1=top1, top1_stderr=top1_stderr,
        float_top1=mean_with_error(float_right)[0] if labelled else None)


def mean_with_error(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard error of *values*."""
    mean = math.fsum(values) / len(values)
    if len(values) == 1:
        return mean, 0.0
    spread = math.fsum((x - mean) ** 2 for x in values) / (len(values) - 1)
    return mean, math.sqrt(spread / len(values))
