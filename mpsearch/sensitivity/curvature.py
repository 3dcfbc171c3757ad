"""Curvature of the loss in the weights: Hutchinson's estimate, for all layers at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from mpsearch.core.types import ScoreTable
from mpsearch.graph.finite import require_finite
from mpsearch.sensitivity.engine import Note, Todo
from mpsearch.sensitivity.losses import floored, hessian_loss, parts
from mpsearch.sensitivity.products import COPIES, gradient, inner, product, random_signs
from mpsearch.sensitivity.stored_weights import owned, scaled_errors
from mpsearch.sensitivity.study import Rows, Study, table
from mpsearch.sensitivity.weights import require_weights_only


class CurvatureEstimator(Protocol):
    """Settings of the products; `factor` turns a trace into what multiplies a squared error."""

    unit: ClassVar[str]
    probes: int
    loss: Literal["model", "labels"]

    def factor(self, trace: float, weights: int) -> float:
        """What a squared error of a layer's *weights* is multiplied with."""
        ...


@dataclass(frozen=True, slots=True)
class CurvatureEngine:
    """One forward pass, one backward pass and a product for each probe, a batch."""

    def units(self, study: Study, estimator: CurvatureEstimator) -> list[str]:
        """One a batch and probe: its rows give ``vᵀHv`` of every weight, in order."""
        return [f"{number}/{probe}" for number in range(len(study.batches))
                for probe in range(estimator.probes)]

    def work(self, study: Study, estimators: Mapping[str, CurvatureEstimator], todo: Todo,
             note: Note) -> None:
        """Do the missing products, those of a batch together.

        Raises:
            BadInput: the space quantizes activations, or labels are asked for and missing.
        """
        require_weights_only(study, estimators)
        for name, estimator in estimators.items():
            for number in range(len(study.batches)):
                probes = [probe for probe in range(estimator.probes)
                          if name in todo.get(f"{number}/{probe}", ())]
                if probes:
                    found = _products(name, estimator, study, number, probes)
                    for probe, sums in zip(probes, found, strict=True):
                        note(name, f"{number}/{probe}", [[value] for value in sums])

    def table(self, name: str, estimator: CurvatureEstimator, study: Study,
              rows: Mapping[str, Rows]) -> ScoreTable:
        """Means and standard errors over probes."""
        factors: dict[str, list[list[float]]] = {}
        for index, (group, spec, _) in enumerate(owned(study, study.space.groups)):
            sums = (math.fsum(rows[f"{number}/{probe}"][index][0]
                              for number in range(len(study.batches)))
                    for probe in range(estimator.probes))
            factors.setdefault(group.name, []).append(
                [estimator.factor(total / study.samples, spec.weights) for total in sums])
        return floored(table(name, estimator.unit, study.space,
                             scaled_errors(study, factors, estimator.probes)))


@torch.enable_grad()
def _products(name: str, estimator: CurvatureEstimator, study: Study, number: int,
              probes: Sequence[int]) -> list[list[float]]:
    """``vᵀHv`` summed over a batch: for each of *probes*, a number for each weight."""
    program, batch = study.program, study.batches[number]
    weights = list(owned(study, study.space.groups))
    names = {node: spec.weight for _, spec, node in weights}
    leaves = [program.parameters[node].detach().requires_grad_() for node in names]
    stored = dict(zip(names, leaves, strict=True))
    sums = {probe: dict.fromkeys(names, 0.0) for probe in probes}
    for part in parts(study, batch.size, COPIES):
        own = batch.rows(part)
        with sdpa_kernel(SDPBackend.MATH):  # the fused kernels have no second derivative
            output = program.run(own.args, stored=stored)
            require_finite(program, own.args, output.detach())
            slopes = gradient(hessian_loss(name, estimator.loss, output, own), leaves)
            for probe, total in sums.items():
                signs = [random_signs(f"{study.seed}/{probe}/{names[node]}", leaf)
                         for node, leaf in stored.items()]
                for node, sign, found in zip(names, signs, product(slopes, leaves, signs),
                                             strict=True):
                    total[node] += inner(sign, found)
    return [[total[node] for _, _, node in weights] for total in sums.values()]
