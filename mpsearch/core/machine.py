"""Machine tables: how long a device takes for each operation, shape and scheme."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal, Self

from mpsearch.core.errors import BadInput

Origin = Literal["measured", "imported", "predicted"]
NOISE = 0.05
"""Times that differ by no more than this share of the shorter one are not told apart: as well as
the shortest of many short slices repeats on a shared machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One row: *milliseconds* that a whole batch takes.

    *operation* and *shape* are those of a `Piece` (shapes for one sample); *scheme* is the layer's
    scheme as the tool writes it, ``float`` where nothing is quantized. How a format finds its
    scales is left out of that: it changes no time. *rounds* says of how many rounds it is the
    shortest time, 0 where that is not known.

    Raises:
        BadInput: a time that is not a finite number above or at 0, or no positive batch or threads.
    """

    operation: str
    shape: str
    scheme: str
    batch: int
    threads: int
    milliseconds: float
    rounds: int = field(default=0, compare=False)  # how it was found, not what it says

    def __post_init__(self) -> None:
        if not 0 <= self.milliseconds < math.inf:
            raise BadInput(f"a time is a finite number of milliseconds, not below 0, and not "
                           f"{self.milliseconds}")
        if self.batch < 1 or self.threads < 1:
            raise BadInput(f"batch and threads are at least 1, not {self.batch} and "
                           f"{self.threads}")

    @property
    def key(self) -> tuple[str, str, str, int, int]:
        """What the time is for."""
        return self.operation, self.shape, self.scheme, self.batch, self.threads


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """What a machine can do on so many *threads*: float operations and bytes from memory, 1e9/s."""

    threads: int
    gflops: float
    gbytes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineTable:
    """All times of one device: *provider* ran (or predicted) them, on *cpu*, with *versions*.

    *fusions* names operations that the provider runs together, such as ``linear+gelu``: the second
    takes no time of its own where it alone reads the first one's result. *packed* says that weights
    are read at the width of their scheme, not in float.

    Raises:
        BadInput: a row that is there twice.
    """

    device: str
    provider: str
    cpu: str
    origin: Origin
    versions: dict[str, str] = field(default_factory=dict)
    fusions: tuple[str, ...] = ()
    packed: bool = True
    peaks: tuple[Peak, ...] = ()
    rows: tuple[Timing, ...] = ()

    def __post_init__(self) -> None:
        seen: set[tuple[str, str, str, int, int]] = set()
        for row in self.rows:
            if row.key in seen:
                raise BadInput(f"the table of {self.device} has two times for {told(row.key)}")
            seen.add(row.key)

    @property
    def times(self) -> dict[tuple[str, str, str, int, int], float]:
        """Milliseconds by key."""
        return {row.key: row.milliseconds for row in self.rows}

    def same_machine(self, other: MachineTable) -> bool:
        """Whether times of both may stand in one table."""
        return (self.device, self.provider, self.cpu, self.versions) == (
            other.device, other.provider, other.cpu, other.versions)

    def with_rows(self, rows: Iterable[Timing]) -> Self:
        """The table with *rows* added, each in the place of an earlier one of the same key."""
        merged = {row.key: row for row in (*self.rows, *rows)}
        return replace(self, rows=tuple(merged[key] for key in sorted(merged)))

    def shortest(self, other: Self) -> Self:
        """The table with what *other* has besides; of two times for one key, the shorter."""
        own = {row.key: row for row in self.rows}
        peaks = {peak.threads: peak for peak in (*other.peaks, *self.peaks)}
        return replace(self, peaks=tuple(peaks.values())).with_rows(
            row if row.key not in own else _shorter(own[row.key], row) for row in other.rows)


def _shorter(one: Timing, two: Timing) -> Timing:
    best = min(one, two, key=lambda row: row.milliseconds)
    return replace(best, rounds=max(one.rounds, two.rounds))


def told(key: tuple[str, str, str, int, int]) -> str:
    """A row's key in words."""
    operation, shape, scheme, batch, threads = key
    return (f"{operation} {shape} at {scheme} (batch {batch}, {threads} "
            f"thread{'s' if threads > 1 else ''})")
