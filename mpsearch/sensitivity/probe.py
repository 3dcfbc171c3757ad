"""Probes: quantize one group, run on to the output, and measure there.

Groups are visited in order of execution and the float activations before each are kept, so that
a probe runs the rest of the graph only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from mpsearch.core.types import Group, ScoreTable
from mpsearch.graph.execute import Env
from mpsearch.graph.finite import require_finite
from mpsearch.sensitivity.study import Ledger, Progress, Rows, Study, table


class ProbeEstimator(Protocol):
    """A measure of the changed output against the float model's."""

    engine: ClassVar[str]
    unit: ClassVar[str]

    def score(self, reference: Tensor, output: Tensor) -> Tensor:
        """The measure of each sample: shape [samples]."""
        ...


@dataclass(frozen=True, slots=True)
class ProbeEngine:
    """One group at a time, run on to the output."""

    def units(self, study: Study) -> int:
        """Number of pieces of work for one estimator: one a group."""
        return len(study.space.groups)

    def measure(self, estimators: Mapping[str, ProbeEstimator], study: Study,
                ledgers: Mapping[str, Ledger], progress: Progress) -> dict[str, ScoreTable]:
        """Score every group and scheme with all *estimators* on the same probes."""
        groups = sorted(study.space.groups, key=lambda group: _first(study, group))
        rows: dict[str, dict[str, Rows]] = {name: {} for name in estimators}
        runner = _Runner(study)
        for group in groups:
            missing = {}
            for name, estimator in estimators.items():
                done = ledgers[name].get(group.name)
                if done is None:
                    missing[name] = estimator
                else:
                    rows[name][group.name] = done
                    progress(1)
            if missing:
                for name, found in runner.probe(group, missing).items():
                    ledgers[name].put(group.name, found)
                    rows[name][group.name] = found
                    progress(1)
        return {name: table(name, estimator.unit, study.space, rows[name])
                for name, estimator in estimators.items()}


class _Runner:
    """Holds, for every batch, the float activations at the point the probes have come to."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.place = 0
        self.kept: list[Env] = []
        self.references: list[Tensor] = []

    @torch.no_grad()
    def probe(self, group: Group, estimators: Mapping[str, ProbeEstimator]) -> dict[str, Rows]:
        """Per-sample measures of every scheme of *group*."""
        study, program = self.study, self.study.program
        self._advance(_first(study, group))
        study.prepare(group)
        rows: dict[str, Rows] = {name: [] for name in estimators}
        for scheme in group.schemes:
            changes = study.changes(group, scheme)
            for row in rows.values():
                row.append([])
            for env, reference in zip(self.kept, self.references, strict=True):
                # A scheme that changes nothing leaves the output as it is.
                output = reference if scheme.is_float else program.finish(
                    dict(env), self.place, changes)[: len(reference)]
                for name, estimator in estimators.items():
                    rows[name][-1] += estimator.score(reference, output).tolist()
        return rows

    def _advance(self, place: int) -> None:
        program = self.study.program
        if not self.kept:
            for batch in self.study.batches:
                output = program.run(batch.args)
                require_finite(program, batch.args, output)
                self.references.append(output)
                self.kept.append(program.start(batch.args))
        for env in self.kept:
            program.advance(env, self.place, place)
        self.place = place


def _first(study: Study, group: Group) -> int:
    return study.program.position[study.sites(group)[0].node]
