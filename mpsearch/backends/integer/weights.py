"""A layer's weight as the kernels read it, in the orientation in which its operation uses it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
from torch import Tensor

from mpsearch.backends.integer.blocks import edges
from mpsearch.core.errors import Unsupported
from mpsearch.core.formats import Format, IntFormat
from mpsearch.core.formats.sparse import Sparse24Format
from mpsearch.fakequant.changes import FakeQuantizer
from mpsearch.fakequant.cut import Cut
from mpsearch.graph.orientation import changed_rows, viewed
from mpsearch.graph.sites import Call
from mpsearch.kernels import PackedWeight, WholeWeight, integers, levels
from mpsearch.quantizers.layout import layout_of
from mpsearch.quantizers.of_kind import quantizer_of
from mpsearch.quantizers.sparse24 import integers_of

Packed = PackedWeight | WholeWeight


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WeightCodes:
    """Codes, scales and zero points of a weight, one for each number, output channels first.

    *whole* are the strands of levels that codes number, or None where they are integers of *bits*
    from *first*. *group* is the run of numbers that share a scale.
    """

    codes: Tensor
    scale: Tensor
    zero: Tensor
    bits: int
    first: int
    whole: tuple[tuple[float, Sequence[int]], ...] | None
    group: int | None

    @classmethod
    def of(cls, fake: FakeQuantizer, layer: str, fmt: Format, cut: Cut | None = None) -> Self:
        """The weight of *layer* in *fmt*, or what *cut* leaves of it."""
        codes, params = fake.weights.encode(layer, fmt, cut)
        whole, bits, first = None, int(fmt.bits), fmt.code_range[0]
        if isinstance(fmt, Sparse24Format):
            rows = fake.weights.rows(layer)
            codes = integers_of(codes, fmt, (rows if cut is None else cut.part(rows)).shape)
            first = fmt.kept.code_range[0]
        elif not isinstance(fmt, IntFormat):
            stairs = quantizer_of(fmt).stairs(params, fmt)  # type: ignore[attr-defined]
            ranks = torch.zeros(int(stairs.codes.max()) + 1, dtype=torch.int32)
            ranks[stairs.codes] = torch.arange(len(stairs.codes), dtype=torch.int32)
            codes, whole, first = ranks[codes.long()], stairs.strands, 0
        layout = layout_of(codes.shape, fmt)
        length = layout.to_slices(codes).shape[1]
        scale, zero = (layout.from_slices(each.expand(-1, length))
                       for each in (params.scale, params.zero_point))
        return cls(codes=codes, scale=scale, zero=zero, bits=bits, first=first, whole=whole,
                   group=layout.group)

    def packed(self, codes: Tensor, scale: Tensor, zero: Tensor, group: int | None) -> Packed:
        """Some of the codes as a weight, [outputs, inputs]."""
        if self.whole is not None:
            return levels(codes, self.whole, scale, bits=self.bits, group=group)
        return integers(codes, scale, zero, bits=self.bits, first=self.first, group=group)


class Matrices(NamedTuple):
    """The weight of a product: matrices in a stack of this *shape*, none for one matrix.

    Each is cut where *runs* of its inputs end. A *vector* is a matrix with one output.
    """

    parts: tuple[tuple[Packed, ...], ...]
    runs: tuple[slice, ...]
    shape: tuple[int, ...]
    vector: bool

    @property
    def outputs(self) -> int:
        """Outputs of each matrix."""
        return self.parts[0][0].outputs


def matrices(fake: FakeQuantizer, call: Call, fmt: Format, block: int | None = None,
             cut: Cut | None = None) -> Matrices:
    """The weight of *call* in *fmt*, or what *cut* leaves of it; its inputs in blocks of *block*.

    Raises:
        Unsupported: what shares a scale in the stored weight is no run of the operation's inputs.
    """
    own = WeightCodes.of(fake, call.layer, fmt, cut)
    turned = _turner(fake.weights.stored(call.layer), call) if cut is None else _as_it_is
    tables = [turned(each) for each in (own.codes, own.scale, own.zero)]
    vector = tables[0].dim() == 1
    tables = [each[None] for each in tables] if vector else tables
    shape, (_, inputs) = tables[0].shape[:-2], tables[0].shape[-2:]
    runs = edges(inputs, block, own.group) if block else [slice(0, inputs)]
    stack = zip(*(each.reshape(-1, *each.shape[-2:]) for each in tables), strict=True)
    run = own.group or own.codes[0].numel()
    parts = []
    for codes, scale, zero in stack:
        pieces = [(codes[:, each], of_runs(scale[:, each], run, call.layer),
                   of_runs(zero[:, each], run, call.layer)) for each in runs]
        parts.append(tuple(own.packed(*each, None if block else own.group) for each in pieces))
    return Matrices(parts=tuple(parts), runs=tuple(runs), shape=tuple(shape), vector=vector)


def _as_it_is(rows: Tensor) -> Tensor:
    """A matrix with its outputs first, which is all that is ever cut."""
    return rows


def _turner(parameter: Tensor, call: Call) -> Callable[[Tensor], Tensor]:
    """From one number for each weight, output channels first, to [..., outputs, inputs].

    Of a vector to its inputs.
    """
    assert call.operation.weight is not None  # noqa: S101 - the call has a weight
    inputs_last = call.operation.weight.axes != (-2,)

    def turned(rows: Tensor) -> Tensor:
        own = viewed(changed_rows(parameter, lambda _: rows, call.summed), call.path)
        return own if inputs_last or own.dim() == 1 else own.transpose(-2, -1)

    return turned


def of_runs(table: Tensor, run: int, layer: str) -> Tensor:
    """The one number of each run of *run* inputs in *table* [outputs, inputs].

    Raises:
        Unsupported: a run has several, so that no sum over it can be scaled.
    """
    first = table[:, ::run]
    spread = first.repeat_interleave(run, 1)[:, : table.shape[1]]
    if not torch.equal(spread, table):
        raise Unsupported(f"layer '{layer}': numbers of its weight that share a scale do not lie "
                          "side by side where it is used: give it one scale a channel")
    return first
