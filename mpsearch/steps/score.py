"""Run a model that has no float twin, and count how often it is right."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from mpsearch import metrics
from mpsearch.core.errors import BadInput
from mpsearch.fakequant.threads import threads_for
from mpsearch.sources.batch import check_labels
from mpsearch.steps.evaluate import mean_with_error, require_fitting_labels
from mpsearch.steps.measure import ProgressBar
from mpsearch.steps.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The share of right top-1 answers with its standard error; None without labels."""

    samples: int
    top1: float | None = None
    top1_stderr: float | None = None


@torch.no_grad()
def score(module: nn.Module, session: Session, progress: ProgressBar) -> Score:
    """Run *module* on the session's held-out data.

    Raises:
        BadInput: outputs that are not finite, or labels that do not fit them.
    """
    batches, right = session.evaluation, []
    macs = session.captured.macs(session.request.batch_size)
    with progress("running the policy on held-out data", len(batches)) as step, threads_for(
            macs=macs):
        for batch in batches:
            output = module(*batch.args)
            if not bool(output.isfinite().all()):
                raise BadInput("the quantized model's output is not finite on this data")
            if batch.labels is not None:
                require_fitting_labels(batch, output)
                check_labels(batches, output.shape[metrics.class_dim(output)])
                right += metrics.correct(output, batch.labels).tolist()
            step(1)
    if len(right) < batches.samples or not right:
        return Score(samples=batches.samples)
    top1, stderr = mean_with_error(right)
    return Score(samples=batches.samples, top1=top1, top1_stderr=stderr)
