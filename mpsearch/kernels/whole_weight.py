"""Weights whose numbers take several digits: tables of levels, wide integers, very long rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import torch
from torch import Tensor

from mpsearch.kernels.digits import BASE, Digits
from mpsearch.kernels.numbers import Strand
from mpsearch.kernels.packed import BITS, PackedWeight, longest

_WIDE, _HALF, _SHIFT = 8, BASE // 2, 8


class Decoded(NamedTuple):
    """Digits that a *table*, uint8 [2**bits], gives for the codes of *stream*.

    *digit* is the weight of these digits without its stream.
    """

    stream: Tensor
    table: Tensor
    digit: PackedWeight

    def ready(self) -> PackedWeight:
        """The digits, a byte each, as the kernels read them."""
        stream = torch.ops.mpsearch.decode_stream(self.stream, self.table)
        return replace(self.digit, stream=stream)


Part = PackedWeight | Decoded
"""A digit of a run of inputs."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WholeWeight:
    """A weight [outputs, inputs]: the sum of *strands*, times *scale* float32 [outputs].

    A plane of a strand is a digit of all weights, in a `Part` for each of *runs* of inputs, so
    short that int32 holds their sums. Where inputs come in groups with scales of their own, parts
    hold these, and *scale* is None.
    """

    strands: tuple[Strand, ...]
    scale: Tensor | None
    runs: tuple[slice, ...]
    outputs: int
    inputs: int

    @classmethod
    def of(cls, weight: PackedWeight | Self) -> Self:
        """*weight* as one digit."""
        if not isinstance(weight, PackedWeight):
            return weight
        return cls(strands=(Strand(1.0, ((weight,),)),), runs=(slice(0, weight.inputs),),
                   scale=None if weight.groups > 1 else weight.scales()[:, 0],
                   outputs=weight.outputs, inputs=weight.inputs)


class _Cut(NamedTuple):
    """How a weight is packed: its scales, if its inputs come in groups, and runs of inputs."""

    codes: Tensor
    scale: Tensor
    group: int | None

    @property
    def grouped(self) -> bool:
        return self.group is not None and 0 < self.group < self.codes.shape[1]

    @property
    def runs(self) -> tuple[slice, ...]:
        inputs = self.codes.shape[1]
        step = inputs if self.grouped else longest(_WIDE)
        return tuple(slice(at, min(at + step, inputs)) for at in range(0, inputs, step))

    def pack(self, codes: Tensor, zero: Tensor | None, bits: int, first: int
             ) -> tuple[PackedWeight, ...]:
        scale = self.scale if self.grouped else torch.ones(1)
        return tuple(PackedWeight.of(codes[:, run], scale, zero, bits=bits, first=first,
                                     group=self.group if self.grouped else None)
                     for run in self.runs)

    def whole(self, strands: Sequence[Strand]) -> WholeWeight:
        outputs, inputs = self.codes.shape
        scale = None if self.grouped else self.scale.reshape(-1).expand(outputs)
        return WholeWeight(strands=tuple(strands), scale=scale, runs=self.runs, outputs=outputs,
                           inputs=inputs)


def integers(codes: Tensor, scale: Tensor, zero: Tensor, *, bits: int, first: int,
             group: int | None = None) -> PackedWeight | WholeWeight:
    """A weight of integer *codes* of 2 to 16 bits; see `PackedWeight.of`.

    More than 8 bits are two digits; rows that are too long for sums in int32 are cut.

    Raises:
        BadInput, Unsupported: as `PackedWeight.of`.
    """
    cut = _Cut(codes, scale, group)
    if bits <= _WIDE and len(cut.runs) == 1:
        return PackedWeight.of(codes, scale, zero, bits=bits, first=first, group=group)
    if bits <= _WIDE:
        return cut.whole([Strand(1.0, (cut.pack(codes, zero, bits, first),))])
    low, low_zero = ((each & (BASE - 1)) - _HALF for each in (codes, zero))
    planes = (cut.pack(low, low_zero, _WIDE, -_HALF),
              cut.pack(codes >> _SHIFT, zero >> _SHIFT, max(BITS[0], bits - _WIDE),
                       first >> _SHIFT))
    return cut.whole([Strand(1.0, planes)])


def levels(codes: Tensor, strands: Sequence[tuple[float, Sequence[int]]], scale: Tensor, *,
           bits: int, group: int | None = None) -> PackedWeight | WholeWeight:
    """A weight of *codes* [outputs, inputs] from 0 to 2**bits - 1 that number levels.

    A level is the sum of ``unit * whole`` over *strands*, times *scale* (as in `PackedWeight.of`).
    Where 8 bits hold its whole numbers they are stored; else the codes, to be decoded by a table
    at every call.

    Raises:
        BadInput, Unsupported: as `PackedWeight.of`.
    """
    cut = _Cut(codes, scale, group)
    unit, whole = strands[0]
    width = _width(whole)
    if len(strands) == 1 and width <= _WIDE:
        table = torch.tensor(whole, dtype=torch.int32)
        first = 0 if min(whole) >= 0 else -(1 << (width - 1))
        return integers(table[codes.long()], scale * unit, torch.zeros(1, dtype=torch.int32),
                        bits=width, first=first, group=group)
    streams = [part.stream for part in cut.pack(codes, None, bits, 0)]
    return cut.whole([_decoded(cut, streams, own, Digits.of(list(each)), bits)
                      for own, each in strands])


def _decoded(cut: _Cut, streams: Sequence[Tensor], unit: float, digits: Digits,
             bits: int) -> Strand:
    zero, planes = torch.tensor([digits.zero], dtype=torch.int32), []
    for row in digits.codes:
        table = torch.zeros(1 << bits, dtype=torch.uint8)
        table[: len(row)] = (row.to(torch.int16) + _HALF).to(torch.uint8)
        made = cut.pack(row.to(torch.int32)[cut.codes.long()], zero, _WIDE, -_HALF)
        planes.append(tuple(Decoded(stream, table, replace(part, stream=part.stream[:0]))
                            for stream, part in zip(streams, made, strict=True)))
    return Strand(unit, tuple(planes))


def _width(whole: Sequence[int]) -> int:
    """Bits that hold all numbers of *whole*, signed where one is below 0; at least 2."""
    low, high = min(whole), max(whole)
    own = high.bit_length() if low >= 0 else max(high.bit_length(), (~low).bit_length()) + 1
    return max(BITS[0], own)
