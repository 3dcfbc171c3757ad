"""Which units of a residual branch matter most: by calibration data, or by their weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from mpsearch.fakequant.changes import FakeQuantizer
from mpsearch.graph.branches import Branch, Narrowing
from mpsearch.graph.sites import Site
from mpsearch.sensitivity.replay import Labels
from mpsearch.sensitivity.reverse import Passing, Reverse
from mpsearch.sensitivity.segments import plan
from mpsearch.sensitivity.study import Study


def rank_units(study: Study, branches: Mapping[str, str]) -> dict[str, tuple[int, ...]]:
    """The units of each of *branches*, the most important first; equal ones in their order.

    A branch is ranked by ``taylor``, see `Gates`, or by ``magnitude``: the sum of the absolute
    weights that make the unit (Li et al., "Pruning Filters for Efficient ConvNets", ICLR 2017,
    arXiv:1608.08710), which needs no data.
    """
    found = {branch.name: branch for branch in study.fake.layers.branches}
    by_data = [found[name] for name, how in branches.items() if how == "taylor"]
    scores = Gates(study, by_data).scores() if by_data else {}
    for name, how in branches.items():
        if how == "magnitude":
            scores[name] = _magnitude(study.fake, _narrowing(found[name]))
    return {name: _descending(scores[name]) for name in branches}


class Gates:
    """The importance of a unit by how much the loss reacts to a gate on it.

    A gate multiplies all that a unit gives to the layer where units come together. Its gradient is
    ``sum a * dL/da`` over the unit's channels and all tokens; its importance the mean square of
    that over samples, in the second order the loss of closing it. Source: Molchanov et al.,
    "Importance Estimation for Neural Network Pruning" (CVPR 2019, arXiv:1906.10771), with labels
    drawn from the model itself, as in `mpsearch.metrics.sampled_gradient`.
    """

    def __init__(self, study: Study, branches: Sequence[Branch]) -> None:
        self._study = study
        self._branch = {layer: branch for branch in branches
                        for layer in _narrowing(branch).columns}
        self._sums = {branch.name: torch.zeros(_narrowing(branch).units, dtype=torch.float64)
                      for branch in branches}
        self._samples = 0

    def scores(self) -> dict[str, Tensor]:
        """The importance of every unit, by branch."""
        study = self._study
        for number, batch in enumerate(study.batches):
            planned = plan(study.program, study.shapes, batch.size, study.memory)
            reverse, labels = Reverse(program=study.program, cuts=planned.cuts), Labels(
                study, number, 1)
            for first in range(0, batch.size, planned.samples):
                part = batch.rows(slice(first, first + planned.samples))
                self._samples = part.size
                reverse.run(part.args, partial(labels, first=first, samples=part.size), self)
        return {name: total / study.samples for name, total in self._sums.items()}

    def wants(self, site: Site) -> bool:
        """Whether units come together there."""
        return site.layers[0] in self._branch

    def visit(self, passing: Passing, g: Tensor) -> None:
        """Add the squared gradients of the gates before a layer."""
        call = passing.site.calls[0]
        operand = call.operation.input
        assert operand is not None  # noqa: S101 - a linear layer has an input
        values = passing.args[operand.index].double()
        products = values * (g.double() @ self._study.fake.weights.rows(call.layer).double())
        axis = self._study.shapes.sample_axes.get(passing.site.node)
        held = self._study.program.traced.batch or self._samples
        by_sample = products.unsqueeze(0) if axis is None else axis.split(products, held)
        channels = by_sample.reshape(len(by_sample), -1, values.shape[-1]).sum(1)
        branch = self._branch[call.layer]
        units = torch.tensor(_narrowing(branch).columns[call.layer])
        gates = torch.zeros(len(channels), _narrowing(branch).units, dtype=torch.float64)
        gates.index_add_(1, units, channels.cpu())
        self._sums[branch.name] += gates[: self._samples].square().sum(0)


def _magnitude(fake: FakeQuantizer, narrowing: Narrowing) -> Tensor:
    total = torch.zeros(narrowing.units, dtype=torch.float64)
    for layer, units in narrowing.rows.items():
        total.index_add_(0, torch.tensor(units),
                         fake.weights.rows(layer).double().abs().flatten(1).sum(1).cpu())
    return total


def _descending(scores: Tensor) -> tuple[int, ...]:
    return tuple(scores.argsort(descending=True, stable=True).tolist())


def _narrowing(branch: Branch) -> Narrowing:
    assert branch.narrowing is not None  # noqa: S101 - only such branches are ranked
    return branch.narrowing

