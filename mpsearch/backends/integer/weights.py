"""A layer's weight as the kernels read it, in the orientation in which its operation uses it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mpsearch.core.errors import Unsupported
from mpsearch.core.formats import IntFormat
from mpsearch.fakequant.changes import FakeQuantizer
from mpsearch.fakequant.cut import Cut
from mpsearch.graph.orientation import changed_rows, viewed
from mpsearch.graph.sites import Call
from mpsearch.kernels import PackedFilters, PackedWeight
from mpsearch.quantizers.layout import layout_of

_MATRIX, _LINE = 2, 3
"""Dimensions of a weight, and of the filters of a convolution along a line."""


def packed_weight(fake: FakeQuantizer, call: Call, fmt: IntFormat,
                  cut: Cut | None = None) -> PackedWeight:
    """The weight of *call* in *fmt*, outputs first, or what *cut* leaves of it.

    Raises:
        Unsupported: what shares a scale in the stored weight is no run of the operation's inputs.
    """
    codes, params = fake.weights.encode(call.layer, fmt, cut)
    layout = layout_of(codes.shape, fmt)
    scale, zero = (layout.from_slices(each.expand(-1, layout.to_slices(codes).shape[1]))
                   for each in (params.scale, params.zero_point))
    turned = _turner(fake.weights.stored(call.layer), call) if cut is None else _as_it_is
    runs = layout.group or codes[0].numel()
    return PackedWeight.of(
        turned(codes), _of_runs(turned(scale), runs, call.layer),
        _of_runs(turned(zero), runs, call.layer),
        bits=fmt.bits, first=fmt.code_range[0], group=layout.group)


def packed_filters(fake: FakeQuantizer, call: Call, fmt: IntFormat, groups: int) -> PackedFilters:
    """The filters of the convolution *call* in *fmt*, which has so many *groups* of channels.

    Raises:
        Unsupported: filters that are computed from the stored ones.
    """
    codes, params = fake.weights.encode(call.layer, fmt)
    if call.path or codes.dim() not in {_LINE, _LINE + 1}:
        raise Unsupported(f"layer '{call.layer}': there is no integer kernel for its filters, of "
                          f"shape {tuple(codes.shape)}: leave its input in float")
    planes = codes.unsqueeze(-2) if codes.dim() == _LINE else codes
    return PackedFilters.of(planes, params.scale, params.zero_point, bits=fmt.bits,
                            first=fmt.code_range[0], group=fmt.group_size, groups=groups)


def _as_it_is(rows: Tensor) -> Tensor:
    """A matrix with its outputs first, which is all that is ever cut."""
    return rows


def _turner(parameter: Tensor, call: Call) -> Callable[[Tensor], Tensor]:
    """From one number for each weight, output channels first, to [outputs, inputs]."""
    assert call.operation.weight is not None  # noqa: S101 - the call has a weight
    inputs_last = call.operation.weight.axes != (-2,)

    def turned(rows: Tensor) -> Tensor:
        own = viewed(changed_rows(parameter, lambda _: rows, call.summed), call.path)
        if own.dim() != _MATRIX:
            raise Unsupported(f"layer '{call.layer}': its weight is a stack of matrices, which no "
                              "integer kernel multiplies: leave its input in float")
        return own if inputs_last else own.T

    return turned


def _of_runs(table: Tensor, run: int, layer: str) -> Tensor:
    """The one number of each run of *run* inputs in *table* [outputs, inputs]."""
    first = table[:, ::run]
    spread = first.repeat_interleave(run, 1)[:, : table.shape[1]]
    if not torch.equal(spread, table):
        raise Unsupported(f"layer '{layer}': numbers of its weight that share a scale do not lie "
                          "side by side where it is used: give it one scale a channel")
    return first
