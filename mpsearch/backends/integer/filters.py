"""The filters of a convolution as the kernels read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mpsearch.backends.integer.weights import WeightCodes
from mpsearch.core.errors import Unsupported
from mpsearch.core.formats import Format
from mpsearch.fakequant.changes import FakeQuantizer
from mpsearch.graph.sites import Call
from mpsearch.kernels import Digits, PackedFilters, Strand

_LINE = 3
"""Dimensions of the filters of a convolution along a line."""
_BYTE = 8
_HALF = 128


class Filters(NamedTuple):
    """Filters of one digit, or strands of several with the *scale* of every output.

    None where parts hold scales.
    """

    digits: PackedFilters | tuple[Strand, ...]
    scale: Tensor | None

    @property
    def parts(self) -> tuple[PackedFilters, ...]:
        """The filters of every digit."""
        if isinstance(self.digits, PackedFilters):
            return (self.digits,)
        return tuple(each for _, planes in self.digits for each in planes)


def filters_of(fake: FakeQuantizer, call: Call, fmt: Format, groups: int) -> Filters:
    """The filters of the convolution *call* in *fmt*, which has so many *groups* of channels.

    Raises:
        Unsupported: filters that are computed from the stored ones, or in three dimensions.
    """
    own = WeightCodes.of(fake, call.layer, fmt)
    if call.path or own.codes.dim() not in {_LINE, _LINE + 1}:
        raise Unsupported(f"layer '{call.layer}': there is no integer kernel for its filters, of "
                          f"shape {tuple(own.codes.shape)}: leave its input in float")
    run = own.group or own.codes[0].numel()
    scale, zero = (each.flatten(1)[:, ::run] for each in (own.scale, own.zero))
    planes = own.codes.unsqueeze(-2) if own.codes.dim() == _LINE else own.codes
    if own.whole is None and own.bits <= _BYTE:
        return Filters(PackedFilters.of(planes, scale, zero, bits=own.bits, first=own.first,
                                        group=own.group, groups=groups), None)
    strands = _of_levels(planes, own) if own.whole else _of_integers(planes, zero, own.first)
    in_parts = scale if own.group else torch.ones(1)

    def packed(codes: Tensor, zeros: Tensor) -> PackedFilters:
        return PackedFilters.of(codes, in_parts, zeros, bits=_BYTE, first=-_HALF, group=own.group,
                                groups=groups)

    made = tuple(Strand(unit, tuple(packed(*each) for each in digits)) for unit, digits in strands)
    return Filters(made, None if own.group else scale.flatten())


Digit = tuple[Tensor, Tensor]


def _of_integers(codes: Tensor, zero: Tensor,
                 first: int) -> Sequence[tuple[float, Sequence[Digit]]]:
    offset = _HALF if first >= 0 else 0
    low, high = ([(each & (2 * _HALF - 1)) - _HALF for each in (codes, zero)],
                 [(each >> _BYTE) - offset for each in (codes, zero)])
    return [(1.0, [(low[0], low[1]), (high[0], high[1])])]


def _of_levels(codes: Tensor, own: WeightCodes) -> Sequence[tuple[float, Sequence[Digit]]]:
    assert own.whole is not None  # noqa: S101 - codes number levels
    strands = []
    for unit, whole in own.whole:
        digits = Digits.of(list(whole))
        zero = torch.tensor([digits.zero], dtype=torch.int32)
        strands.append((unit, [(row.to(torch.int32)[codes.long()], zero) for row in digits.codes]))
    return strands
