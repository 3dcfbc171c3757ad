"""The engine for second moments of layers: inputs, and output gradients where they are asked for.

The moments of a run of layers are gathered over all batches, as many layers at a time as memory
allows; then each of them is scored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor
from torch.fx import Node

from mpsearch.core.types import Group, LayerSpec, ScoreTable
from mpsearch.fakequant.threads import threads_for
from mpsearch.graph.execute import Env
from mpsearch.graph.sites import Call, Site
from mpsearch.sensitivity.engine import Note, Todo
from mpsearch.sensitivity.moments import Moments, gradient_rows, input_rows
from mpsearch.sensitivity.replay import Labels
from mpsearch.sensitivity.reverse import Passing, Reverse
from mpsearch.sensitivity.segments import plan
from mpsearch.sensitivity.study import Rows, Study, table
from mpsearch.sensitivity.weights import require_weights_only


class MomentEstimator(Protocol):
    """Scores a weight error by the moments of its layer."""

    engine: ClassVar[str]
    unit: ClassVar[str]
    rides_along: ClassVar[bool]
    needs_gradients: ClassVar[bool]

    def score(self, study: Study, layer: LayerSpec, moments: Moments,
              group: Group) -> list[float]:
        """One number for each scheme of *group*: what *layer* contributes."""
        ...


@dataclass(frozen=True, slots=True)
class MomentsEngine:
    """Second moments of inputs and output gradients over all the data, then scores."""

    def units(self, study: Study, estimator: MomentEstimator) -> list[str]:  # noqa: ARG002
        """One a group, in order of execution."""
        return [group.name for group in study.order]

    def work(self, study: Study, estimators: Mapping[str, MomentEstimator], todo: Todo,
             note: Note) -> None:
        """Gather and score, a run of layers after the other.

        Raises:
            BadInput: the space quantizes activations, which weight errors tell nothing about.
        """
        require_weights_only(study, estimators)
        gradients = any(each.needs_gradients for each in estimators.values())
        for units in _runs(study, list(todo), gradients):
            gathered = _gather(study, units, gradients)
            for unit in units:
                group = study.groups[unit]
                study.prepare(group)
                for name in todo[unit]:
                    with threads_for(elements=0):
                        note(name, unit, _rows(estimators[name], study, group, gathered))

    def table(self, name: str, estimator: MomentEstimator, study: Study,
              rows: Mapping[str, Rows]) -> ScoreTable:
        """The scores as they are."""
        return table(name, estimator.unit, study.space, rows)


def _rows(estimator: MomentEstimator, study: Study, group: Group,
          gathered: Mapping[str, Moments]) -> Rows:
    scores = [estimator.score(study, layer, gathered[layer.name], group)
              for layer in weighted(study, group)]
    return [[float(sum(row[k] for row in scores))] for k in range(len(group.schemes))]


def _runs(study: Study, units: Sequence[str], gradients: bool) -> list[list[str]]:
    """*units* in runs whose moments fit into half of the memory."""
    runs: list[list[str]] = [[]]
    held = 0
    for unit in units:
        size = sum(Moments.bytes(layer, gradients=gradients)
                   for layer in weighted(study, study.groups[unit]))
        if runs[-1] and held + size > study.memory // 2:
            runs.append([])
            held = 0
        runs[-1].append(unit)
        held += size
    return runs


def _gather(study: Study, units: Sequence[str], gradients: bool) -> dict[str, Moments]:
    visitor = _Visitor(study, units)
    for number, batch in enumerate(study.batches):
        if gradients:
            _backward(study, number, visitor)
        else:
            visitor.samples = batch.size
            with torch.no_grad():
                study.program.run(batch.args, watch=visitor.watch)
    return {layer: moments.over(study.samples) for layer, moments in visitor.found.items()}


def _backward(study: Study, number: int, visitor: _Visitor) -> None:
    batch = study.batches[number]
    planned = plan(study.program, study.shapes, batch.size, study.memory)
    reverse = Reverse(program=study.program, cuts=planned.cuts)
    labels = Labels(study, number, 1)
    for first in range(0, batch.size, planned.samples):
        part = batch.rows(slice(first, first + planned.samples))
        visitor.samples = part.size
        reverse.run(part.args, partial(labels, first=first, samples=part.size), visitor)


class _Visitor:
    """Adds up the moments of the wanted layers wherever they run."""

    def __init__(self, study: Study, units: Sequence[str]) -> None:
        self.study = study
        self.found = {layer.name: Moments() for unit in units
                      for layer in weighted(study, study.groups[unit])}
        self.samples = 1

    def wants(self, site: Site) -> bool:
        """Whether a weight of a wanted group is used there."""
        return any(call.layer in self.found for call in site.calls)

    def visit(self, passing: Passing, g: Tensor) -> None:
        """Add what the site saw, and what came back to it."""
        self.inputs(passing.site, passing.args)
        g = self._real(passing.site.node, g)
        for call in self._calls(passing.site):
            self.found[call.layer].add_gradient(gradient_rows(call, g.float(), self.samples))

    def watch(self, site: Site, args: tuple[Any, ...], _kwargs: Mapping[str, Any],
              output: Tensor, _env: Env) -> Tensor:
        """Add what the site saw; its output stays as it is."""
        self.inputs(site, args)
        return output

    def inputs(self, site: Site, args: tuple[Any, ...]) -> None:
        """Add what the site saw."""
        args = tuple(self._real(node, arg) if isinstance(node, Node) else arg
                     for node, arg in zip(site.node.args, args, strict=True))
        for call in self._calls(site):
            if call.operation.kind == "embedding":  # each token reads one row: counts suffice
                self.found[call.layer].add_reads(args[1], len(args[0]))
                continue
            rows, positions = input_rows(call, site, args, self.samples)
            self.found[call.layer].add_input(rows, positions)

    def _real(self, node: Node, values: Any) -> Any:
        """*values* without the samples that a graph of fixed batch size is filled up with."""
        held, axis = self.study.program.traced.batch, self.study.shapes.sample_axes.get(node)
        return axis.first(values, held, self.samples) if held and axis else values

    def _calls(self, site: Site) -> list[Call]:
        return [call for call in site.calls if call.layer in self.found]


def weighted(study: Study, group: Group) -> list[LayerSpec]:
    """The layers of *group* that have a weight; one that is shared counts at every use."""
    return [layer for layer in study.space.members(group) if layer.weight is not None]
