"""The shared pass: one forward and one backward a batch, every scheme of every layer replayed.

As the backward pass reaches a layer, the layer is run again on its kept input under each scheme;
estimators see the output gradient ``g`` and the output change ``dz``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from mpsearch import metrics
from mpsearch.core.types import Group, ScoreTable
from mpsearch.graph.execute import Env
from mpsearch.graph.finite import require_finite
from mpsearch.graph.samples import SampleAxis, per_sample
from mpsearch.graph.sites import Site
from mpsearch.sensitivity.study import Ledger, Progress, Rows, Study, table
from mpsearch.sources.batch import Batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """One layer under one scheme: gradient and change of its output, both of its shape.

    *axis* is where the samples lie in them, None if they share the output.
    """

    g: Tensor
    dz: Tensor
    axis: SampleAxis | None
    samples: int

    def sum(self, values: Tensor) -> Tensor:
        """*values* (of the output's shape) summed over everything but samples: [samples]."""
        return per_sample(values, self.axis, self.samples)


class ReplayEstimator(Protocol):
    """A functional of the replayed outputs. Layers of a group add up before `finish`."""

    engine: ClassVar[str]
    unit: ClassVar[str]

    def score(self, replayed: Replayed) -> Tensor:
        """What one layer contributes, a sample: shape [samples]."""
        ...

    def finish(self, contributions: Tensor) -> Tensor:
        """Score of each sample from its group's summed contributions."""
        ...


@dataclass(frozen=True, slots=True)
class ReplayEngine:
    """The shared forward and backward pass."""

    def units(self, study: Study) -> int:
        """Number of pieces of work for one estimator: one a group and batch."""
        return len(study.space.groups) * len(study.batches)

    def measure(self, estimators: Mapping[str, ReplayEstimator], study: Study,
                ledgers: Mapping[str, Ledger], progress: Progress) -> dict[str, ScoreTable]:
        """Score every group and scheme with all *estimators* in one pass over the batches."""
        for number, batch in enumerate(study.batches):
            todo = {name: [group for group in study.space.groups
                           if ledgers[name].get(f"{number}/{group.name}") is None]
                    for name in estimators}
            missing = sum(map(len, todo.values()))
            progress(len(estimators) * len(study.space.groups) - missing)
            if missing:
                _Pass(estimators, study, ledgers, progress=progress, number=number, batch=batch,
                      todo=todo).run()
        tables = {}
        for name, estimator in estimators.items():
            samples = {group.name: _joined([ledgers[name].get(f"{number}/{group.name}") or []
                                            for number in range(len(study.batches))])
                       for group in study.space.groups}
            tables[name] = table(name, estimator.unit, study.space, samples)
        return tables


class _Pass:
    """One batch: forward, then backward with replay at every site that is still wanted."""

    def __init__(self, estimators: Mapping[str, ReplayEstimator], study: Study,
                 ledgers: Mapping[str, Ledger], *, progress: Progress, number: int, batch: Batch,
                 todo: Mapping[str, list[Group]]) -> None:
        self.estimators, self.study, self.ledgers = estimators, study, ledgers
        self.progress, self.number, self.batch = progress, number, batch
        self.wanted = {name: {group.name for group in groups} for name, groups in todo.items()}
        self.group_of = {layer: group for groups in todo.values() for group in groups
                         for layer in group.layers}
        # A layer may run several times; its group is finished after the last run.
        self.waiting = {group.name: sum(len(set(site.layers) & set(group.layers))
                                        for site in study.sites(group))
                        for groups in todo.values() for group in groups}
        self.sums: dict[tuple[str, str], list[Tensor]] = {}

    def run(self) -> None:
        study = self.study
        for group in dict.fromkeys(self.group_of.values()):
            study.prepare(group)
        with torch.enable_grad():
            output = study.program.run(self.batch.args, watch=self._watch)
            require_finite(study.program, self.batch.args, output.detach())
            generator = torch.Generator().manual_seed(study.seed * 1_000_003 + self.number)
            metrics.sampled_loss(output, generator).backward()  # type: ignore[no-untyped-call]
        for group in dict.fromkeys(self.group_of.values()):
            if self.waiting[group.name]:  # the output does not depend on it
                self._flush_unreached(group)

    def _watch(self, site: Site, args: tuple[Any, ...], kwargs: Mapping[str, Any],
               output: Tensor, _env: Env) -> Tensor:
        if not output.requires_grad:
            # Nothing upstream has a gradient: the first layer's output is where it starts.
            output = output.detach().requires_grad_()
        if any(layer in self.group_of for layer in site.layers):
            kept = tuple(arg.detach() if isinstance(arg, Tensor) else arg for arg in args)
            value = output.detach()
            output.register_hook(  # type: ignore[no-untyped-call]
                lambda g: self._replay(site, kept, kwargs, value, g))
        return output

    @torch.no_grad()
    def _replay(self, site: Site, args: tuple[Any, ...], kwargs: Mapping[str, Any],
                output: Tensor, g: Tensor) -> None:
        study = self.study
        axis = study.shapes.sample_axes.get(site.node)
        for layer in site.layers:
            group = self.group_of.get(layer)
            if group is None:
                continue
            for k, scheme in enumerate(group.schemes):
                made = study.layer_changes(layer, scheme)
                changed = output if not made else site.run(
                    args, kwargs, {layer: made}, study.program.parameters)
                # Where a mask has put minus infinity, it stays.
                dz = (changed - output).masked_fill(changed == output, 0)
                self._add(group, k, Replayed(g=g, dz=dz, axis=axis,
                                             samples=self._samples(axis)))
            self.waiting[group.name] -= 1
            if not self.waiting[group.name]:
                self._flush(group)

    def _flush_unreached(self, group: Group) -> None:
        nothing = torch.zeros(self.batch.size, dtype=torch.float64)
        for name in self.estimators:
            if group.name in self.wanted[name]:
                self.sums.setdefault((name, group.name), [nothing] * len(group.schemes))
        self._flush(group)

    def _samples(self, axis: SampleAxis | None) -> int:
        # A graph of fixed batch size has rows for samples that are not there.
        padded = self.study.program.traced.batch if axis else None
        return padded or self.batch.size

    def _add(self, group: Group, k: int, replayed: Replayed) -> None:
        for name, estimator in self.estimators.items():
            if group.name in self.wanted[name]:
                rows = self.sums.setdefault((name, group.name), [])
                value = estimator.score(replayed)[: self.batch.size].double().cpu()
                if k < len(rows):
                    rows[k] = rows[k] + value
                else:
                    rows.append(value)

    def _flush(self, group: Group) -> None:
        for name, estimator in self.estimators.items():
            rows = self.sums.pop((name, group.name), None)
            if rows is not None:
                self.ledgers[name].put(f"{self.number}/{group.name}",
                                       [estimator.finish(row).tolist() for row in rows])
                self.progress(1)


def _joined(parts: list[Rows]) -> Rows:
    return [[value for part in parts for value in part[k]] for k in range(len(parts[0]))]
