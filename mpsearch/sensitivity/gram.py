"""Inner products of logit changes under the softmax Fisher, and their shrinkage."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mpsearch import metrics
from mpsearch.core.types import ScoreTable
from mpsearch.sensitivity.probe import Probe
from mpsearch.sensitivity.study import Rows, Study, table

if TYPE_CHECKING:
    from mpsearch.sensitivity.logit_gram import LogitGram

Matrix = NDArray[np.float64]


class GramCollector:
    """Whitened logit changes of all schemes on one batch; their products when all are there."""

    def __init__(self, settings: LogitGram, study: Study, batch: int) -> None:
        self.settings, self.study, self.batch = settings, study, batch
        self._changes: dict[str, list[Tensor]] = {}

    def add(self, probe: Probe) -> None:
        """Keep ``F^½ Δ / √2`` of every scheme, one row a sample."""
        self._changes[probe.group.name] = [
            self._sketched(whitened(probe.reference, output)) for output in probe.outputs]

    def finished(self) -> Iterator[tuple[str, Rows]]:
        """The squared length of every change, a sample; then the Gram matrix of each fold."""
        groups = self.study.space.groups
        if len(self._changes) < len(groups):
            return
        columns = torch.stack([each for group in groups for each in self._changes[group.name]])
        before = sum(batch.size for batch in self.study.batches[:self.batch])
        fold_of = (torch.arange(columns.shape[1]) + before) % self.settings.folds
        rows: Rows = columns.double().square().sum(2).tolist()
        for fold in range(self.settings.folds):
            part = columns[:, (fold_of == fold).to(columns.device)].flatten(1).double()
            gram = (part @ part.T).cpu()
            rows += [row[i:].tolist() for i, row in enumerate(gram)]
        self._changes = {}
        yield str(self.batch), rows

    def _sketched(self, values: Tensor) -> Tensor:
        size, to = values.shape[1], self.settings.dimensions
        if size <= to:
            return values.float()
        generator = torch.Generator().manual_seed(self.study.seed)
        place = torch.randint(to, (size,), generator=generator).to(values.device)
        sign = (torch.randint(2, (size,), generator=generator) * 2 - 1).to(values)
        sketch: Tensor = values.new_zeros(len(values), to).index_add_(1, place, values * sign)
        return sketch.float()


def whitened(reference: Tensor, output: Tensor) -> Tensor:
    """``F^½ (output - reference) / √2``, flat: [samples, positions * classes].

    Its squared length is ½ ΔᵀFΔ, averaged over positions, the second-order KL of a sample.
    """
    dim = metrics.class_dim(reference)
    a, b = (each.double().movedim(dim, -1) for each in (reference, output))
    a, b = (each.reshape(len(each), -1, each.shape[-1]) for each in (a, b))
    p, delta = a.softmax(-1), b - a
    centred = delta - (p * delta).sum(-1, keepdim=True)
    found: Tensor = (p.sqrt() * centred).flatten(1) / math.sqrt(2 * a.shape[1])
    return found


def gram_table(settings: LogitGram, name: str, study: Study,
               rows: Mapping[str, Rows]) -> ScoreTable:
    """Scores on the diagonal; off it, what survives the shrinkage, as leading directions."""
    sizes = [len(group.schemes) for group in study.space.groups]
    count = sum(sizes)
    starts = [0, *accumulate(sizes)]
    diagonal = [[value for part in rows.values() for value in part[i]] for i in range(count)]
    plain = table(name, settings.unit, study.space, {
        group.name: diagonal[starts[g]:starts[g + 1]]
        for g, group in enumerate(study.space.groups)})
    folds = [sum((_square(part, count * (1 + fold), count) for part in rows.values()),
                 np.zeros((count, count))) for fold in range(settings.folds)]
    samples = [sum(1 for n in range(study.samples) if n % settings.folds == fold)
               for fold in range(settings.folds)]
    apart = _between_groups(sizes)
    kept = shrinkage([g / max(n, 1) for g, n in zip(folds, samples, strict=True) if n], apart)
    whole = sum(folds, np.zeros((count, count))) / study.samples
    return replace(plain, factor=_factor(kept * whole, settings.rank))


def _square(part: Rows, first: int, count: int) -> Matrix:
    upper = np.zeros((count, count))
    for i in range(count):
        upper[i, i:] = part[first + i]
    whole: Matrix = upper + np.triu(upper, 1).T
    return whole


def _between_groups(sizes: list[int]) -> Matrix:
    home = np.repeat(np.arange(len(sizes)), sizes)
    return np.asarray(home[:, None] != home[None, :], dtype=np.float64)


def shrinkage(folds: list[Matrix], apart: Matrix) -> float:
    """The factor in [0, 1] by which the mean of the other folds predicts each fold best.

    Least squares over the pairs where *apart* is one, each relative to the lengths of the two
    changes, so that large perturbations do not decide alone.
    """
    if len(folds) < 2:  # noqa: PLR2004 - nothing to hold out
        return 0.0
    total = sum(folds, np.zeros_like(apart))
    power = np.diag(total)
    scale = np.divide(1.0, power, out=np.zeros_like(power), where=power > 0)
    weight = apart * scale[:, None] * scale[None, :]
    top = bottom = 0.0
    for fold in folds:
        others = (total - fold) / (len(folds) - 1)
        top += float((weight * others * fold).sum())
        bottom += float((weight * others * others).sum())
    return min(1.0, max(0.0, top / bottom)) if bottom else 0.0


def _factor(gram: Matrix, rank: int) -> tuple[tuple[float, ...], ...]:
    if not gram.any():
        return ()
    values, vectors = np.linalg.eigh(gram)
    order = [i for i in np.argsort(values)[::-1][:rank] if values[i] > values.max() * 1e-9]
    rows = [np.sqrt(values[i]) * vectors[:, i] for i in order]
    # The sign of an eigenvector is arbitrary: fixed, so that the same input has the same bytes.
    return tuple(tuple((row * np.sign(row[np.argmax(np.abs(row))])).tolist()) for row in rows)
