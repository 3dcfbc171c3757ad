"""The plain kind of probe: a measure of each sample, a row for each scheme of a group."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from mpsearch.sensitivity.probe import Probe
from mpsearch.sensitivity.study import Rows

Score = Callable[[Probe], Sequence[Tensor]]
"""For each scheme of the group, the measure of every sample."""


@dataclass(slots=True)
class PerSample:
    """Collects one group after the other; each is a unit of its own."""

    score: Score
    _done: list[tuple[str, Rows]] = field(default_factory=list)

    def add(self, probe: Probe) -> None:
        """Measure every scheme."""
        rows = [row.tolist() for row in self.score(probe)]
        self._done.append((f"{probe.batch}/{probe.group.name}", rows))

    def finished(self) -> Iterator[tuple[str, Rows]]:
        """The group that was added last."""
        while self._done:
            yield self._done.pop(0)


def by_metric(metric: Callable[[Tensor, Tensor], Tensor]) -> Score:
    """The same *metric* of the float and the changed output for every group."""
    return lambda probe: [metric(probe.reference, output) for output in probe.outputs]
