"""What every engine measures on, and where it leaves finished pieces of work."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from mpsearch.core.types import Group, Scheme, ScoreTable, SearchSpace
from mpsearch.fakequant.changes import FakeQuantizer
from mpsearch.fakequant.keys import Ranges, chosen_ranges
from mpsearch.graph.execute import Program, Shapes
from mpsearch.graph.operations import Change
from mpsearch.graph.sites import Site
from mpsearch.sources.batch import Batch

Rows = list[list[float]]
"""One row of numbers for each scheme of a group."""


class Ledger(Protocol):
    """Finished units of work: what is in here is never measured again."""

    def get(self, unit: str) -> Rows | None:
        """The rows of a finished *unit*, or None."""
        ...

    def put(self, unit: str, rows: Rows) -> None:
        """Note a finished *unit*; on return it is safe on disk."""
        ...


Progress = Callable[[int], None]
"""Told how many more units are done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A captured model, the space to score, and the calibration batches."""

    space: SearchSpace
    program: Program
    shapes: Shapes
    fake: FakeQuantizer
    ranges: Ranges
    batches: Sequence[Batch]
    seed: int

    def prepare(self, group: Group) -> None:
        """Find the parameters of all candidate weight formats of *group*, one visit a tensor."""
        for layer in group.layers:
            self.fake.weights.prepare(layer, group.schemes)

    def changes(self, group: Group, scheme: Scheme) -> dict[str, dict[str, Change]]:
        """What *scheme* does to every layer of *group*."""
        return {layer: self.layer_changes(layer, scheme) for layer in group.layers}

    def layer_changes(self, layer: str, scheme: Scheme) -> dict[str, Change]:
        """What *scheme* does to one layer."""
        own = scheme.for_kind(self.space.layer(layer).kind)
        ranges = chosen_ranges(self.ranges, layer, {"input": own.input, "other": own.other})
        return self.fake.changes(layer, own, ranges)

    def sites(self, group: Group) -> list[Site]:
        """The places in the graph where layers of *group* run, in order."""
        names = set(group.layers)
        return [site for site in self.program.sites.values() if names.intersection(site.layers)]


def table(metric: str, unit: str, space: SearchSpace,
          samples: Mapping[str, Rows]) -> ScoreTable:
    """Mean over samples, and its standard error, of every scheme's row of per-sample values."""
    groups = tuple(group.name for group in space.groups)
    spread = any(len(row) > 1 for rows in samples.values() for row in rows)
    return ScoreTable(
        metric=metric, unit=unit, groups=groups,
        values=tuple(tuple(_mean(row) for row in samples[name]) for name in groups),
        stderr=tuple(tuple(_stderr(row) for row in samples[name])
                     for name in groups) if spread else None)


def _mean(row: Sequence[float]) -> float:
    return math.fsum(row) / len(row)


def _stderr(row: Sequence[float]) -> float:
    if len(row) < 2:  # noqa: PLR2004 - one sample tells nothing of the spread
        return 0.0
    mean = _mean(row)
    return math.sqrt(math.fsum((x - mean) ** 2 for x in row) / (len(row) - 1) / len(row))
