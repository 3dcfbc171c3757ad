"""The plain kind of probe: a measure of each sample, a row for each scheme of a group."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from mpsearch.core.types import Group, ScoreTable
from mpsearch.sensitivity.probe import Probe
from mpsearch.sensitivity.study import Rows, Study
from mpsearch.sensitivity.units import sample_table, sample_units

Score = Callable[[Probe, int], Tensor]
"""The measure of every sample for the scheme of that index."""


@dataclass(slots=True)
class PerSample:
    """Collects one group after the other; each is a unit of its own."""

    score: Score
    _done: list[tuple[str, Rows]] = field(default_factory=list)

    def add(self, probe: Probe) -> None:
        """Measure every scheme."""
        rows = [self.score(probe, k).tolist() for k in range(len(probe.group.schemes))]
        self._done.append((f"{probe.batch}/{probe.group.name}", rows))

    def finished(self) -> Iterator[tuple[str, Rows]]:
        """The group that was added last."""
        while self._done:
            yield self._done.pop(0)


def units(study: Study) -> list[str]:
    """One a batch and group."""
    return sample_units(study)


def means(name: str, unit: str, study: Study, rows: Mapping[str, Rows]) -> ScoreTable:
    """Means over samples."""
    return sample_table(name, unit, study, rows)


def by_metric(metric: Callable[[Tensor, Tensor], Tensor]) -> Score:
    """The same *metric* for every group."""
    return lambda probe, k: metric(probe.reference, probe.outputs[k])


def by_group(metric_of: Callable[[Group], Callable[[Tensor, Tensor], Tensor]]) -> Score:
    """A metric for each group."""
    return lambda probe, k: metric_of(probe.group)(probe.reference, probe.outputs[k])
