"""Probes: change one group, run on to the output, and measure there.

Groups are visited in order of execution and the activations before each are kept, so that a probe
runs the rest of the graph only; the schemes of a group run on together where the graph allows it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from mpsearch.core.types import Group, ScoreTable
from mpsearch.graph.execute import Env
from mpsearch.graph.finite import require_finite
from mpsearch.sensitivity.engine import Note, Todo
from mpsearch.sensitivity.stack import Stack
from mpsearch.sensitivity.study import Rows, Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One group of a batch: the float output, and the output under each of its schemes.

    A scheme that leaves everything in float has the float output itself.
    """

    study: Study
    group: Group
    batch: int
    reference: Tensor
    outputs: Sequence[Tensor]
    env: Env
    stack: Stack


class Collector(Protocol):
    """What an estimator makes of the probes of one batch."""

    def add(self, probe: Probe) -> None:
        """Take a probe in."""
        ...

    def finished(self) -> Iterator[tuple[str, Rows]]:
        """Units that are complete now, each given once."""
        ...


class ProbeEstimator(Protocol):
    """A measure of changed outputs. Its units say which probes each of them needs.

    *needs_outputs* is false if it changes something itself and does not look at the schemes'
    outputs.
    """

    engine: ClassVar[str]
    unit: ClassVar[str]
    rides_along: ClassVar[bool]
    needs_outputs: ClassVar[bool]

    def units(self, study: Study) -> list[str]:
        """``batch/group``, or the number of a batch where all its groups are needed."""
        ...

    def collector(self, study: Study, batch: int) -> Collector:
        """What takes the probes of one batch in."""
        ...

    def table(self, name: str, study: Study, rows: Mapping[str, Rows]) -> ScoreTable:
        """The scores from the rows of all units."""
        ...


@dataclass(frozen=True, slots=True)
class ProbeEngine:
    """One group at a time, run on to the output."""

    def units(self, study: Study, estimator: ProbeEstimator) -> list[str]:
        """What the estimator says."""
        return estimator.units(study)

    def work(self, study: Study, estimators: Mapping[str, ProbeEstimator], todo: Todo,
             note: Note) -> None:
        """Probe what is missing, a batch after the other."""
        for number in range(len(study.batches)):
            wanted = {group.name: [name for name in estimators if _lacks(
                todo, name, number, group.name)] for group in study.order}
            groups = [group for group in study.order if wanted[group.name]]
            if groups:
                _batch(study, estimators, number, groups=groups, wanted=wanted, note=note)

    def table(self, name: str, estimator: ProbeEstimator, study: Study,
              rows: Mapping[str, Rows]) -> ScoreTable:
        """What the estimator makes of its rows."""
        return estimator.table(name, study, rows)


def _lacks(todo: Todo, name: str, number: int, group: str) -> bool:
    return name in todo.get(f"{number}/{group}", ()) or name in todo.get(str(number), ())


@torch.no_grad()
def _batch(study: Study, estimators: Mapping[str, ProbeEstimator], number: int,
           *, groups: Sequence[Group], wanted: Mapping[str, Sequence[str]], note: Note) -> None:
    program, batch = study.program, study.batches[number]
    output = program.run(batch.args)
    require_finite(program, batch.args, output)
    collectors = {name: estimators[name].collector(study, number)
                  for name in dict.fromkeys(n for group in groups for n in wanted[group.name])}
    env, place, stack = program.start(batch.args), 0, Stack(study)
    for group in groups:
        program.advance(env, place, study.first(group))
        place = study.first(group)
        names = wanted[group.name]
        study.prepare(group)
        outputs = _outputs(study, group, env, output, stack) if any(
            estimators[name].needs_outputs for name in names) else []
        probe = Probe(study=study, group=group, batch=number, reference=output, outputs=outputs,
                      env=env, stack=stack)
        for name in names:
            collectors[name].add(probe)
            for unit, rows in collectors[name].finished():
                note(name, unit, rows)


def _outputs(study: Study, group: Group, env: Env, reference: Tensor,
             stack: Stack) -> list[Tensor]:
    changing = [scheme for scheme in group.schemes if not scheme.is_float]
    found = stack.outputs(env, study.first(group), len(reference),
                          [study.changes(group, scheme) for scheme in changing])
    made: dict[Any, Tensor] = dict(zip(changing, (each[: len(reference)] for each in found),
                                       strict=True))
    return [made.get(scheme, reference) for scheme in group.schemes]
