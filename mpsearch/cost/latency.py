"""Latency: the time of one run, summed over what the captured graph runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mpsearch.core.errors import Unsupported
from mpsearch.core.flow import Flow, Piece, Step, fused_in_float, own_scheme
from mpsearch.core.machine import MachineTable, told
from mpsearch.core.types import Scheme, ScoreTable, SearchSpace

PICOSECONDS = 1e9
"""Of them in a millisecond: costs are whole numbers, so that a limit is met to the letter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """What each scheme of each group takes, and what the rest of the graph takes in any policy.

    *table* and *fixed* are in picoseconds; a policy takes their sum.
    """

    table: ScoreTable
    fixed: int

    def total(self, choice: Sequence[int]) -> float:
        """Milliseconds of a policy, in the unit and to the bit as a budget on it counts."""
        return self.table.total(choice) / PICOSECONDS + self.fixed / PICOSECONDS


def latency(space: SearchSpace, flow: Flow, machine: MachineTable, *, batch: int = 1,
            threads: int = 1) -> Latency:
    """The time of one batch, additive over the operations that run one after the other.

    A group costs what its layers take wherever they run, in that scheme; everything else is fixed.
    What the provider fuses into the layer before (`MachineTable.fusions`) takes no time. Fused
    attention is one operation where no scheme of *space* quantizes its products, and else counts
    in the open: two products and a softmax. It still runs as one where a policy leaves both in
    float; what that saves is shared out between them, so that the sum is right where both are in
    float or both quantized, and off by a share of it where one is. The layers of a skipped branch
    take no time; what lies between them does, as if they ran.

    Source: additive tables of layers timed alone, as in Wang et al., "HAQ: Hardware-Aware
    Automated Quantization" (CVPR 2019, arXiv:1811.08886) and HAWQ-V3 (arXiv:2011.10680).

    Raises:
        Unsupported: the machine's table lacks something that runs; the message names it.
    """
    times = _Times(machine, batch, threads)
    specs = {layer.name: layer for layer in space.layers}
    home = {name: group for group in space.groups for name in group.layers}
    costs = {group.name: [0] * len(group.schemes) for group in space.groups}
    fixed = 0
    for step, piece in flow.pieces(space):
        group = home.get(piece.layer)
        if group is None:
            fixed += 0 if fused(flow, step, machine) else times(piece, Scheme())
            continue
        for number, scheme in enumerate(group.schemes):
            own = own_scheme(specs[piece.layer], scheme)
            costs[group.name][number] += times(piece, own)
            costs[group.name][number] += _shared(step, piece, space, times) if own.is_float else 0
    times.check()
    return Latency(fixed=fixed, table=ScoreTable(
        metric="latency", unit="ps", groups=tuple(costs),
        values=tuple(tuple(map(float, row)) for row in costs.values())))


def _shared(step: Step, piece: Piece, space: SearchSpace, times: _Times) -> int:
    """The product's share of what attention takes more (or less) as one operation than in the open.

    By the times of both, so that neither becomes negative.
    """
    if not fused_in_float(step, space):
        return 0
    first, softmax, second = (times(each, Scheme()) for each in step.opened)
    more = max(times(step.pieces[0], Scheme()) - softmax, 0) - first - second
    share = more * first // (first + second) if first + second else more // 2
    return share if piece is step.opened[0] else more - share


def fused(flow: Flow, step: Step, machine: MachineTable) -> bool:
    """Whether the provider runs *step* together with the operation whose result it alone reads."""
    if step.after < 0:
        return False
    before = flow.steps[step.after].pieces[-1]
    return f"{before.operation}+{step.pieces[0].operation}" in machine.fusions


class _Times:
    """Picoseconds by piece and scheme; remembers what is missing, to name it all at once."""

    def __init__(self, machine: MachineTable, batch: int, threads: int) -> None:
        self._known, self._batch, self._threads = machine.times, batch, threads
        self._machine = machine
        self._missing: dict[tuple[str, str, str, int, int], None] = {}
        self._narrowed = False

    def __call__(self, piece: Piece, scheme: Scheme) -> int:
        if scheme.skips:
            return 0
        key = (piece.operation, piece.shape, str(scheme), self._batch, self._threads)
        found = self._known.get(key)
        if found is None:
            self._missing[key] = None
            self._narrowed |= scheme.keep is not None
            return 0
        return round(found * PICOSECONDS)

    def check(self) -> None:
        """Refuse a table with holes."""
        if not self._missing:
            return
        if self._narrowed and self._machine.origin != "predicted":
            raise Unsupported(
                f"the table of '{self._machine.device}' holds times that were measured, and those "
                "of narrowed layers are only predicted: choose a --device that is a profile, or a "
                "space that skips branches but keeps their heads and units")
        first, more = next(iter(self._missing)), len(self._missing) - 1
        raise Unsupported(
            f"the table of '{self._machine.device}' ({self._machine.provider}) has no time for "
            f"{told(first)}{f' and {more} more' if more else ''}: run mpsearch profile for this "
            "model, space, batch and threads with a provider that runs all its schemes, or choose "
            "another --device")


def undecided(space: SearchSpace, table: ScoreTable, noise: float) -> tuple[str, ...]:
    """Groups with several schemes that all take the same time, within *noise* of the shortest."""
    names = []
    for group, row in zip(space.groups, table.values, strict=True):
        if len(group.schemes) > 1 and max(row) <= min(row) * (1 + noise):
            names.append(group.name)
    return tuple(names)
