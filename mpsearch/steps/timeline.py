"""A table of times read along the graph: what each layer takes, and what bounds it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mpsearch.core.flow import Flow, Piece, Step, own_scheme
from mpsearch.core.machine import MachineTable
from mpsearch.core.types import LayerSpec, Scheme, SearchSpace
from mpsearch.cost.bounds import Bound, bytes_moved, limits_of
from mpsearch.cost.latency import fused
from mpsearch.report.times import (
    SIMULATED,
    LayerTime,
    OtherTime,
    Timeline,
    elsewhere,
    of_the_simulation,
    undecided,
)
from mpsearch.steps.devices import HOST
from mpsearch.steps.host import cpu_name

if TYPE_CHECKING:
    from mpsearch.steps.allocate import Allocation
    from mpsearch.steps.profile import Profile


def timeline(space: SearchSpace, flow: Flow, table: MachineTable, *, batch: int,
             threads: int) -> Timeline:
    """What *table* says of every layer of *flow*, in order, and of the rest by operation."""
    reader = _Reader(space, flow, table, batch, threads)
    layers: list[LayerTime] = []
    others: dict[str, OtherTime] = {}
    for step, piece in flow.pieces(space):
        if piece.layer:
            layers.append(reader.layer(piece))
            continue
        before = others.get(piece.operation)
        others[piece.operation] = OtherTime(
            operation=piece.operation, runs=1 + (before.runs if before else 0),
            milliseconds=reader.other(step, piece) + (before.milliseconds if before else 0.0))
    return Timeline(batch=batch, threads=threads, layers=tuple(layers), limits=reader.limits,
                    others=tuple(sorted(others.values(), key=lambda row: -row.milliseconds)))


def timelines(found: Profile) -> list[Timeline]:
    """One for each batch and number of threads that was profiled."""
    return [timeline(found.record.space, found.flow, found.table, batch=batch, threads=threads)
            for batch in found.plan.batches for threads in found.plan.threads]


def truths(allocation: Allocation) -> list[str]:
    """What to know of the times that budgets counted on, a line each.

    Times of another processor, times of the simulation, and where a budget that is a latency alone
    decides nothing.
    """
    costing = allocation.measured.costing
    asked = {row.budget.metric for row in allocation.budgets}
    if costing is None or costing.machine is None or "latency_ms" not in asked:
        return []
    table, found = costing.machine.table, []
    if table.device == HOST and table.origin == "measured" and table.cpu != cpu_name():
        found.append(elsewhere(table.cpu, cpu_name()))
    if table.provider == SIMULATED:
        found.append(of_the_simulation(table.device))
    same, several = costing.undecided()
    if same and asked == {"latency_ms"}:
        found.append(undecided(same, several, table.device))
    return found


class _Reader:
    """Looks up times, with what is needed to judge them."""

    def __init__(self, space: SearchSpace, flow: Flow, table: MachineTable, batch: int,
                 threads: int) -> None:
        self._flow, self._table, self._batch = flow, table, batch
        self._times, self._threads = table.times, threads
        self._specs = {layer.name: layer for layer in space.layers}
        self._menus = {name: group.schemes for group in space.groups for name in group.layers}
        work = {(piece.operation, piece.shape): 2.0 * piece.macs
                for _, piece in flow.pieces(space)}
        self.limits = limits_of(table, threads, work)

    def layer(self, piece: Piece) -> LayerTime:
        spec = self._specs[piece.layer]
        own = list(dict.fromkeys(own_scheme(spec, each) for each in self._menus[piece.layer]))
        timed = [(time, scheme) for scheme in own
                 if (time := self._time(piece, scheme)) is not None]
        intensity, bound = self._judged(piece, spec, timed)
        return LayerTime(layer=piece.layer, shape=piece.shape, intensity=intensity, bound=bound,
                         times={str(scheme): time for time, scheme in timed})

    def other(self, step: Step, piece: Piece) -> float:
        if fused(self._flow, step, self._table):
            return 0.0
        return self._time(piece, Scheme()) or 0.0

    def _time(self, piece: Piece, scheme: Scheme) -> float | None:
        return self._times.get((piece.operation, piece.shape, str(scheme), self._batch,
                                self._threads))

    def _judged(self, piece: Piece, spec: LayerSpec, timed: Sequence[tuple[float, Scheme]],
                ) -> tuple[float, Bound | None]:
        if not timed:
            return 0.0, None
        time, scheme = min(timed, key=lambda pair: pair[0])
        moved = bytes_moved(piece, spec, scheme, batch=self._batch, packed=self._table.packed)
        operations = 2.0 * piece.macs * self._batch
        bound = self.limits.of(operations, moved, time) if self.limits else None
        return operations / moved, bound
