"""What every engine measures on, and where it leaves finished pieces of work."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from mpsearch.core.types import Group, Scheme, ScoreTable, SearchSpace
from mpsearch.fakequant.changes import FakeQuantizer
from mpsearch.fakequant.keys import Ranges, chosen_ranges
from mpsearch.graph.execute import Program, Shapes
from mpsearch.graph.operations import Change
from mpsearch.graph.sites import Site
from mpsearch.sources.batch import Batch

Rows = list[list[float]]
"""Rows of numbers, as a rule one row for each scheme of a group."""
DEFAULT_MEMORY = 2 << 30
"""Bytes of activations an engine may hold where the user says nothing."""


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


@dataclass(frozen=True, kw_only=True)  # no slots: what is derived is kept
class Study:
    """A captured model, the space to score, and the calibration batches.

    *memory* is how many bytes of activations an engine may hold at a time.
    """

    space: SearchSpace
    program: Program
    shapes: Shapes
    fake: FakeQuantizer
    ranges: Ranges
    batches: Sequence[Batch]
    seed: int
    memory: int = DEFAULT_MEMORY

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

    def first(self, group: Group) -> int:
        """Position in the program of the first place where *group* runs."""
        return self.program.position[self.sites(group)[0].node]

    @cached_property
    def order(self) -> tuple[Group, ...]:
        """The groups in order of execution."""
        return tuple(sorted(self.space.groups, key=self.first))

    @cached_property
    def groups(self) -> Mapping[str, Group]:
        """The groups by name."""
        return {group.name: group for group in self.space.groups}

    @property
    def samples(self) -> int:
        """Number of calibration samples."""
        return sum(batch.size for batch in self.batches)

    def uniforms(self, number: int, count: int, stream: int = 0) -> Tensor:
        """Numbers drawn evenly from [0, 1) for batch *number*: shape [samples, count], float64.

        They belong to the sample, so that another batch size draws the same. Another *stream*
        draws others.
        """
        before = sum(batch.size for batch in self.batches[:number])
        drawn = [torch.rand(count, dtype=torch.float64, generator=_generator(
            self.seed, stream, before + sample)) for sample in range(self.batches[number].size)]
        return torch.stack(drawn)

    def only(self, number: int, samples: slice) -> Study:
        """The study of some samples of one batch, for what does not draw numbers."""
        return replace(self, batches=[self.batches[number].rows(samples)])


def _generator(seed: int, stream: int, sample: int) -> torch.Generator:
    # Distinct odd multipliers keep the streams of neighbouring samples apart.
    mixed = (seed * 0x9E3779B97F4A7C15 + stream * 0xC2B2AE3D27D4EB4F + sample) % (1 << 63)
    return torch.Generator().manual_seed(mixed)


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


def joined(parts: Sequence[Rows]) -> Rows:
    """Rows of several batches, one after the other."""
    return [[value for part in parts for value in part[k]] for k in range(len(parts[0]))]


def _mean(row: Sequence[float]) -> float:
    return math.fsum(row) / len(row)


def _stderr(row: Sequence[float]) -> float:
    if len(row) < 2:  # noqa: PLR2004 - one sample tells nothing of the spread
        return 0.0
    mean = _mean(row)
    return math.sqrt(math.fsum((x - mean) ** 2 for x in row) / (len(row) - 1) / len(row))
