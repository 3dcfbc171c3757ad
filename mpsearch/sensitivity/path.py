"""Differentiate the loss on the straight way from the float model to a quantized one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor

from mpsearch import metrics
from mpsearch.core.types import ScoreTable
from mpsearch.graph.finite import require_finite
from mpsearch.graph.operations import Change
from mpsearch.sensitivity.engine import Note, Todo
from mpsearch.sensitivity.losses import parts
from mpsearch.sensitivity.study import Rows, Study, table

_COPIES = 4  # tensors of a forward pass's size: activations, their errors, gradients


class PathEstimator(Protocol):
    """Which schemes are taken together, and what is made of each group's shares."""

    unit: ClassVar[str]
    steps: int

    def level(self, level: int, levels: int, schemes: int) -> int:
        """Number of the scheme that a group with so many *schemes* takes at *level*."""
        ...

    def score(self, shares: Sequence[float]) -> float:
        """The score of a scheme from its shares at all levels where it is met."""
        ...


@dataclass(frozen=True, slots=True)
class PathEngine:
    """For each batch and level one forward and backward pass a node of the quadrature."""

    def units(self, study: Study, estimator: PathEstimator) -> list[str]:  # noqa: ARG002
        """One a batch and level: its rows give the share of every group, summed over samples."""
        return [f"{number}/{level}" for number in range(len(study.batches))
                for level in range(_levels(study))]

    def work(self, study: Study, estimators: Mapping[str, PathEstimator], todo: Todo,
             note: Note) -> None:
        """Go the missing ways."""
        for unit, names in todo.items():
            number, level = map(int, unit.split("/"))
            for name in names:
                note(name, unit, [[share] for share in _shares(
                    study, estimators[name], number, level)])

    def table(self, name: str, estimator: PathEstimator, study: Study,
              rows: Mapping[str, Rows]) -> ScoreTable:
        """Means over samples, and over the levels at which a scheme is met."""
        levels = range(_levels(study))
        values: dict[str, Rows] = {}
        for index, group in enumerate(study.space.groups):
            shares: Rows = [[] for _ in group.schemes]
            for level in levels:
                total = math.fsum(rows[f"{number}/{level}"][index][0]
                                  for number in range(len(study.batches)))
                taken = estimator.level(level, len(levels), len(group.schemes))
                shares[taken].append(total / study.samples)
            values[group.name] = [[estimator.score(found)] for found in shares]
        return table(name, estimator.unit, study.space, values)


def _levels(study: Study) -> int:
    return max(len(group.schemes) for group in study.space.groups)


def _shares(study: Study, estimator: PathEstimator, number: int, level: int) -> list[float]:
    """The share of every group at *level*, summed over the samples of batch *number*."""
    batch, levels = study.batches[number], _levels(study)
    quantized = _changes(study, {
        group.name: estimator.level(level, levels, len(group.schemes))
        for group in study.space.groups})
    shares = torch.zeros(len(study.space.groups), dtype=torch.float64)
    points, weights = np.polynomial.legendre.leggauss(estimator.steps)
    for part in parts(study, batch.size, _COPIES):
        own = batch.rows(part)
        with torch.no_grad():
            reference = study.program.run(own.args)
            require_finite(study.program, own.args, reference)
        for point, weight in zip(points, weights, strict=True):  # on [-1, 1]
            shares += weight / 2 * _slopes(study, quantized, own.args, reference, (point + 1) / 2)
    return [float(share) for share in shares]


def _changes(study: Study, choice: Mapping[str, int]) -> dict[str, dict[str, dict[str, Change]]]:
    """What the chosen scheme does to every layer of every group."""
    made = {}
    for group in study.space.groups:
        study.prepare(group)
        made[group.name] = study.changes(group, group.schemes[choice[group.name]])
    return made


@torch.enable_grad()
def _slopes(study: Study, quantized: Mapping[str, Mapping[str, Mapping[str, Change]]],
            args: tuple[Tensor, ...], reference: Tensor, t: float) -> Tensor:
    """Derivative of the loss in every group's own t, with all of them at *t*."""
    leaves = [torch.tensor(t, dtype=torch.float64, device=reference.device, requires_grad=True)
              for _ in study.space.groups]
    changes = {layer: {operand: _part_way(change, leaf) for operand, change in own.items()}
               for group, leaf in zip(study.space.groups, leaves, strict=True)
               for layer, own in quantized[group.name].items()}
    output = study.program.run(args, changes)
    loss = metrics.kl(reference, output).sum()
    if not loss.requires_grad:  # nothing is quantized at this level
        return torch.zeros(len(leaves), dtype=torch.float64)
    return torch.stack(torch.autograd.grad(loss, leaves, allow_unused=True,
                                           materialize_grads=True)).cpu()


def _part_way(change: Change, t: Tensor) -> Change:
    def changed(value: Tensor) -> Tensor:
        with torch.no_grad():
            error = change(value) - value
        return value + t * error

    return changed
