"""Peak activation memory: the most bytes of activations that live at one time, for one sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mpsearch.core.errors import Unsupported
from mpsearch.core.flow import Flow, Stored
from mpsearch.core.types import Group, Scheme, ScoreTable, SearchSpace


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSet:
    """What lives while one operation runs: *fixed* bits in any policy, and a table of the rest.

    *place* is a layer that reads one of its tensors (else the operation), to name it by.
    """

    place: str
    table: ScoreTable
    fixed: int


def peak_bytes(flow: Flow, schemes: Mapping[str, Scheme],
               sets: Sequence[Sequence[int]] | None = None) -> int:
    """Bytes of activations at the fullest moment of a run on one sample, under a policy.

    A tensor lives from the operation that makes it to the last one that reads it; an operation
    needs its inputs and its output at once, and what returns lives to the end. A tensor that only
    quantizing layers read is stored as their codes, dense (the widest of them); any other one in
    float. Views take nothing. Not counted: scales, what an operation needs for itself (fused
    attention runs in tiles), weights. What layers of a skipped branch read takes nothing; what a
    narrowed one reads counts whole. *sets* are those of `largest_sets`, where they are known.
    """
    bits = [_width(tensor, schemes) * tensor.elements for tensor in flow.tensors]
    return -(-max((sum(bits[number] for number in live)
                   for live in (largest_sets(flow) if sets is None else sets)), default=0) // 8)


def largest_sets(flow: Flow) -> list[list[int]]:
    """Numbers of tensors that live together, one set for each that is in no larger one."""
    sets: list[frozenset[int]] = []
    for step in range(len(flow.steps)):
        live = frozenset(number for number, tensor in enumerate(flow.tensors)
                         if tensor.first <= step <= tensor.last)
        # Lives are intervals: what holds a set beside others holds it in a neighbour.
        if sets and sets[-1] <= live:
            sets.pop()
        if not sets or not live <= sets[-1]:
            sets.append(live)
    return [sorted(live) for live in sets]


def live_sets(space: SearchSpace, flow: Flow) -> tuple[LiveSet, ...]:
    """One additive row for each set of tensors that live together and are in no larger such set.

    The peak is the greatest of their sums: it is within a limit exactly if every sum is. So a
    budget on a maximum becomes several budgets on sums, and no allocator needs to know more.

    Raises:
        Unsupported: a tensor that layers of several groups read at widths of their own, so that
            what it takes is no sum over groups.
    """
    home = {name: group for group in space.groups for name in group.layers}
    return tuple(_row(space, home, [flow.tensors[number] for number in live])
                 for live in largest_sets(flow))


def _row(space: SearchSpace, home: Mapping[str, Group], live: Sequence[Stored]) -> LiveSet:
    bits = {group.name: [0] * len(group.schemes) for group in space.groups}
    fixed, place = 0, live[-1].name if live else ""
    for tensor in live:
        groups = dict.fromkeys(home[reader.layer].name for reader in tensor.readers
                               if reader.layer in home)
        name = None if tensor.floating else _only(tensor, list(groups), home)
        if name is None:
            fixed += tensor.elements * tensor.bits
            continue
        group, place = home[tensor.readers[0].layer], tensor.readers[0].layer
        for number, scheme in enumerate(group.schemes):
            own = {reader.layer: scheme for reader in tensor.readers}
            bits[name][number] += tensor.elements * _width(tensor, own)
    return LiveSet(place=place, fixed=fixed, table=ScoreTable(
        metric=f"activations at {place}", unit="bits", groups=tuple(bits),
        values=tuple(tuple(map(float, row)) for row in bits.values())))


def _only(tensor: Stored, groups: Sequence[str], home: Mapping[str, Group]) -> str | None:
    """The one group that decides what *tensor* takes, None where none can."""
    members = {group.name: group for group in home.values()}
    if not any(_varies(tensor, members[name]) for name in groups):
        return None
    if len(groups) > 1:
        raise Unsupported(
            f"layers of {len(groups)} groups read one tensor ('{tensor.name}', by "
            f"{', '.join(groups)}), so that the memory it takes is no sum over groups: tie them in "
            "the search space, or limit something else")
    return groups[0]


def _varies(tensor: Stored, group: Group) -> bool:
    readers = [reader for reader in tensor.readers if reader.layer in group.layers]
    widths = {tuple(_operand_bits(tensor, scheme, reader.operand) for reader in readers)
              for scheme in group.schemes}
    return widths != {(tensor.bits,) * len(readers)}


def _width(tensor: Stored, schemes: Mapping[str, Scheme]) -> int:
    if tensor.floating:
        return tensor.bits
    return max(_operand_bits(tensor, schemes.get(reader.layer, Scheme()), reader.operand)
               for reader in tensor.readers)


def _operand_bits(tensor: Stored, scheme: Scheme, operand: str) -> int:
    if scheme.skips:
        return 0
    fmt = scheme.input if operand == "input" else scheme.other
    return tensor.bits if fmt is None else min(fmt.code_bits, tensor.bits)
