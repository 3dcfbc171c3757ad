"""Power iteration: the largest curvature in one weight at a time.

Groups are visited in the order in which their weights are first read, and the float activations
before each are kept, so that a product runs the rest of the graph only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

import torch
from torch import Tensor
from torch.fx import Node
from torch.nn.attention import SDPBackend, sdpa_kernel

from mpsearch.core.types import Group, ScoreTable
from mpsearch.graph.finite import require_finite
from mpsearch.sensitivity.engine import Note, Todo
from mpsearch.sensitivity.losses import floored, hessian_loss, parts
from mpsearch.sensitivity.products import COPIES, gradient, inner, product, random_signs
from mpsearch.sensitivity.stored_weights import owned, scaled_errors
from mpsearch.sensitivity.study import Rows, Study, table
from mpsearch.sensitivity.weights import require_weights_only
from mpsearch.sources.batch import Batch


class PowerEstimator(Protocol):
    """Settings of the iteration; `factor` turns λ into what multiplies a squared error."""

    unit: ClassVar[str]
    iterations: int
    samples: int
    loss: Literal["model", "labels"]

    def factor(self, top: float) -> float:
        """What a squared error of a layer's weight is multiplied with."""
        ...


@dataclass(frozen=True, slots=True)
class PowerEngine:
    """For each weight, one run of the rest of the graph and a product for each iteration."""

    def units(self, study: Study, estimator: PowerEstimator) -> list[str]:  # noqa: ARG002
        """One a group: its rows give λ of every weight that it owns."""
        return [group.name for group in _order(study)]

    def work(self, study: Study, estimators: Mapping[str, PowerEstimator], todo: Todo,
             note: Note) -> None:
        """Iterate for every weight of the missing groups.

        Raises:
            BadInput: the space quantizes activations, or labels are asked for and missing.
        """
        require_weights_only(study, estimators)
        for name, estimator in estimators.items():
            runner = _Runner(study, name, estimator)
            for group in _order(study):
                if name in todo.get(group.name, ()):
                    note(name, group.name, runner.top(group))

    def table(self, name: str, estimator: PowerEstimator, study: Study,
              rows: Mapping[str, Rows]) -> ScoreTable:
        """Half of λ times the squared error of each scheme."""
        factors = {group: [[estimator.factor(top)] for (top,) in found]
                   for group, found in rows.items()}
        return floored(table(name, estimator.unit, study.space, scaled_errors(study, factors, 1)))


class _Runner:
    """Holds the float activations of the first samples at the point the groups have come to."""

    def __init__(self, study: Study, name: str, estimator: PowerEstimator) -> None:
        self.study, self.name, self.estimator = study, name, estimator
        self.batches = list(_first_samples(study, estimator.samples))
        self.samples = sum(batch.size for batch in self.batches)
        self.kept = [study.program.start(batch.args) for batch in self.batches]
        self.place = 0

    def top(self, group: Group) -> Rows:
        """The largest eigenvalue for each weight of *group*."""
        with sdpa_kernel(SDPBackend.MATH):  # the fused kernels have no second derivative
            self._advance(_first(self.study, group))
            return [[self._eigenvalue(f"{self.study.seed}/top/{spec.weight}", node)]
                    for _, spec, node in owned(self.study, [group])]

    @torch.no_grad()
    def _advance(self, place: int) -> None:
        for env in self.kept:
            self.study.program.advance(env, self.place, place)
        self.place = max(self.place, place)

    def _eigenvalue(self, label: str, node: Node) -> float:
        leaf = self.study.program.parameters[node].detach().requires_grad_()
        times = self._hessian(node, leaf)
        vector, value = random_signs(label, leaf), 0.0
        for _ in range(self.estimator.iterations):
            vector = vector / vector.norm()
            longer = times(vector)
            value = inner(vector, longer)
            if not bool(longer.any()):  # the output does not depend on it
                return 0.0
            vector = longer
        return value

    def _hessian(self, node: Node, leaf: Tensor) -> Callable[[Tensor], Tensor]:
        """The product with the mean Hessian; what it differentiates is kept if memory allows."""
        pieces = range(len(self.batches))
        fits = len(parts(self.study, self.samples, COPIES, self.place)) == 1
        kept = [self._slope(piece, node, leaf) for piece in pieces] if fits else None

        def times(vector: Tensor) -> Tensor:
            total = torch.zeros_like(vector)
            for piece in pieces:
                slope = kept[piece] if kept else self._slope(piece, node, leaf)
                total += product([slope], [leaf], [vector])[0]
            return total / self.samples

        return times

    @torch.enable_grad()
    def _slope(self, piece: int, node: Node, leaf: Tensor) -> Tensor:
        program, batch = self.study.program, self.batches[piece]
        output = program.finish({**self.kept[piece], node: leaf}, self.place)
        require_finite(program, batch.args, output.detach())
        value = hessian_loss(self.name, self.estimator.loss, output, batch)
        return gradient(value, [leaf])[0]


def _order(study: Study) -> list[Group]:
    return sorted(study.space.groups, key=lambda group: _first(study, group))


def _first(study: Study, group: Group) -> int:
    """Where a weight of *group* is first read; where the group runs, if it owns none."""
    users = (user for _, _, node in owned(study, [group]) for user in node.users)
    return min(map(study.program.position.__getitem__, users), default=study.first(group))


def _first_samples(study: Study, samples: int) -> Iterator[Batch]:
    for batch in study.batches:
        wanted = min(samples, batch.size)
        for part in parts(study, wanted, COPIES):
            yield batch.rows(part)
        samples -= wanted
        if not samples:
            return
