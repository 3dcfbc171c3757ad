"""What the estimators that differentiate share: a loss, how much fits into memory, a floor."""

from __future__ import annotations

import math
from dataclasses import replace

from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the usual name

from mpsearch import metrics
from mpsearch.core.errors import BadInput
from mpsearch.core.types import ScoreTable
from mpsearch.sensitivity.study import Study
from mpsearch.sources.batch import Batch

_ELEMENT = 4  # bytes


def cross_entropy(reference: Tensor, output: Tensor, temperature: float = 1.0) -> Tensor:
    """``-Σ p log q``, a mean over positions and a sum over samples; a single number.

    It is KL(softmax(reference/T) || softmax(output/T)) but for a constant, so that its
    derivatives are those of the divergence; without the clamp at 0 that `metrics.kl` has, they
    are right where the two outputs are equal.
    """
    dim = metrics.class_dim(reference)
    p = (reference.detach().double() / temperature).softmax(dim)
    log_q = (output.double() / temperature).log_softmax(dim)
    return -(p * log_q).sum() / metrics.positions(reference)


def hessian_loss(name: str, kind: str, output: Tensor, batch: Batch) -> Tensor:
    """The loss of *kind*, a mean over positions and a sum over samples.

    Raises:
        BadInput: it needs labels and there are none, or not one for each prediction.
    """
    output = output[:batch.size]
    if kind == "model":
        return cross_entropy(output, output)
    if batch.labels is None:
        raise BadInput(f"{name} with loss 'labels' needs labels and the data has none: "
                       "use loss 'model'")
    classes_first = output.double().movedim(metrics.class_dim(output), 1)
    if batch.labels.shape != (len(output), *classes_first.shape[2:]):
        raise BadInput(f"{name}: labels of shape {tuple(batch.labels.shape)} do not fit an output "
                       f"of shape {tuple(output.shape)}: give one label for each prediction")
    labels = batch.labels.to(output.device)
    return F.cross_entropy(classes_first, labels, reduction="sum") / metrics.positions(output)


def parts(study: Study, samples: int, copies: int, start: int = 0) -> list[slice]:
    """Runs of so many *samples* that *copies* of the activations from *start* on fit into memory.

    One sample is the least; a graph of fixed batch size runs whole however few are real.
    """
    shapes, program = study.shapes, study.program
    if program.traced.batch is not None:
        return [slice(0, samples)]
    elements = sum(math.prod(shapes.one(node)) for node in program.nodes[start:]
                   if node.op == "call_function" and node in shapes.shapes)
    size = max(1, study.memory // max(1, elements * copies * _ELEMENT))
    return [slice(first, min(first + size, samples)) for first in range(0, samples, size)]


def floored(table: ScoreTable) -> ScoreTable:
    """*table* with 0 for values below it: no score may reward a choice for losing something."""
    segments = tuple(replace(each, values=_floored(each.values)) for each in table.segments)
    return replace(table, values=_floored(table.values), segments=segments, samples=())


def _floored(values: tuple[tuple[float, ...], ...]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(max(0.0, value) for value in row) for row in values)
