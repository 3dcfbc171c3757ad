"""Times as a person reads them: layer by layer, scheme by scheme, and in words what follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mpsearch.core.machine import NOISE, MachineTable
from mpsearch.cost.bounds import Bound, Limits
from mpsearch.report.grid import Grid, numbers, words
from mpsearch.report.units import NOTHING, number, percent

SIMULATED = "simulated"
"""The provider whose times are those of fake quantization."""
_MOST_COLUMNS = 8
_FEW = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerTime:
    """One call of a layer: milliseconds by scheme, operations a byte, and what bounds it.

    *schemes* are all of its menu, those without a time left out of *times*. *intensity* and *bound*
    are those of the fastest scheme.
    """

    layer: str
    shape: str
    times: dict[str, float]
    intensity: float
    bound: Bound | None

    @property
    def fastest(self) -> float:
        """The least milliseconds, 0 where there are no times."""
        return min(self.times.values(), default=0.0)

    @property
    def undecided(self) -> bool:
        """Whether several schemes take the same time, within the noise."""
        return len(self.times) > 1 and max(self.times.values()) <= self.fastest * (1 + NOISE)


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherTime:
    """Everything of one kind that is no layer: how often it runs, and the milliseconds of all."""

    operation: str
    runs: int
    milliseconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """A model's times for one *batch* and number of *threads*."""

    batch: int
    threads: int
    layers: tuple[LayerTime, ...]
    others: tuple[OtherTime, ...]
    limits: Limits | None

    @property
    def fastest(self) -> float:
        """Milliseconds of everything with each layer in its fastest scheme."""
        return sum(row.fastest for row in self.layers) + sum(
            row.milliseconds for row in self.others)

    def bound_by(self, bound: Bound) -> list[str]:
        """The layers that are bound by it."""
        return [row.layer for row in self.layers if row.bound == bound]


def times(line: Timeline) -> Grid:
    """A row a layer with its time by scheme (or the range of them), then the other operations."""
    schemes = list(dict.fromkeys(name for row in line.layers for name in row.times)) or [
        "milliseconds"]
    wide = len(schemes) <= _MOST_COLUMNS
    columns = (words("layer") + numbers(*(schemes if wide else ("fastest", "slowest")), "share",
                                        "ops/byte") + words("bound by"))
    rows = [(row.layer, *(_by_scheme(row, schemes) if wide else _range(row)),
             _share(row.fastest, line), f"{row.intensity:.3g}", row.bound or NOTHING)
            for row in line.layers]
    rows += [(f"{row.operation} ({row.runs} times)" if row.runs > 1 else row.operation,
              number(row.milliseconds), *[""] * (len(columns) - 5),
              _share(row.milliseconds, line), "", "") for row in line.others]
    title = (f"Milliseconds of a batch of {line.batch} on {line.threads} "
             f"thread{'s' if line.threads > 1 else ''} (share of {number(line.fastest)} ms, each "
             "layer in its fastest scheme)")
    return Grid(title=title, columns=columns, rows=tuple(rows))


def told(lines: Sequence[Timeline], *, packed: bool) -> list[Grid | str]:
    """A table for each of *lines*, and below it what follows from it."""
    found: list[Grid | str] = []
    for line in lines:
        found += [times(line), *findings(line, packed=packed)]
    return found


def summary(table: MachineTable) -> str:
    """One line on a table."""
    return (f"{table.device} has {len(table.rows)} times ({table.origin}; {table.provider}, "
            f"{table.cpu})")


def about(table: MachineTable) -> dict[str, Any]:
    """What a table is about, as plain data."""
    return {"device": table.device, "provider": table.provider, "cpu": table.cpu,
            "origin": table.origin, "versions": dict(table.versions), "rows": len(table.rows)}


def data(line: Timeline, *, packed: bool) -> dict[str, Any]:
    """The same as plain data."""
    return {"batch": line.batch, "threads": line.threads, "milliseconds": line.fastest,
            "gflops": line.limits and line.limits.gops,
            "gbytes": line.limits and line.limits.gbytes,
            "layers": [{**asdict(row), "undecided": row.undecided} for row in line.layers],
            "others": [asdict(row) for row in line.others],
            "findings": findings(line, packed=packed)}


def findings(line: Timeline, *, packed: bool) -> list[str]:
    """What bounds the layers, and where fewer bits buy no time, a line each."""
    found = []
    if line.limits is None:
        found.append("what bounds the layers is not known: the table has no measured peaks")
    else:
        slow = line.bound_by("bandwidth")
        found.append(
            f"the machine reaches {line.limits.gops:.3g} GFLOPS and {line.limits.gbytes:.3g} GB/s: "
            f"{_layers(slow, line)} bandwidth-bound"
            + (", where fewer bits to read can save time" if slow and packed else "")
            + f"; {_layers(line.bound_by('compute'), line)} compute-bound, "
            f"{_layers(line.bound_by('overhead'), line)} mostly overhead")
    same = [row.layer for row in line.layers if row.undecided]
    several = [row for row in line.layers if len(row.times) > 1]
    if same:
        found.append(f"in {len(same)} of {len(several)} layers with a choice every scheme takes "
                     f"the same time within {100 * NOISE:g} %: there fewer bits buy memory, not "
                     "time")
    return found


def undecided(same: int, several: int, device: str) -> str:
    """What to say of an allocation whose only budget is a latency, where bits buy no time."""
    return (f"on {device} every scheme takes the same time, within {100 * NOISE:g} %, in {same} of "
            f"{several} groups of layers with a choice: fewer bits buy nothing there, and the "
            "budget leaves them at the scheme of least loss; add a budget on size, such as 4.5bpw")


def of_the_simulation(device: str) -> str:
    """What to say of a latency that is one of fake quantization."""
    return (f"the times of {device} are those of fake quantization, which computes in float: "
            "mpsearch profile --provider integer times the integers")


def elsewhere(timed: str, here: str) -> str:
    """What to say of times that were taken on another processor than this."""
    return (f"the times of host were taken on another processor ({timed}) than this one ({here}): "
            "run mpsearch profile again")


def _layers(names: Sequence[str], line: Timeline) -> str:
    shown = f" ({', '.join(names[:_FEW])}{', …' if len(names) > _FEW else ''})" if names else ""
    verb = "is" if len(names) == 1 else "are"
    return f"{len(names)} of {len(line.layers)} layers{shown} {verb}"


def _by_scheme(row: LayerTime, schemes: Sequence[str]) -> list[str]:
    return [number(row.times.get(name)) for name in schemes]


def _range(row: LayerTime) -> list[str]:
    return [number(row.fastest), number(max(row.times.values()))] if row.times else [NOTHING] * 2


def _share(milliseconds: float, line: Timeline) -> str:
    return percent(milliseconds / line.fastest) if line.fastest else NOTHING
