"""The quantizer of small floating-point numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from mpsearch.core.formats.floating import FloatFormat
from mpsearch.core.formats.mini_float import MiniFloat
from mpsearch.quantizers.base import Params
from mpsearch.quantizers.elementwise import Elementwise, by_layout
from mpsearch.quantizers.float_scales import block_scaled, free_scaled, token_scaled
from mpsearch.quantizers.layout import Layout
from mpsearch.quantizers.mini_floats import codes_of, numbers_of, rounded_
from mpsearch.quantizers.slices import Slices
from mpsearch.quantizers.stairs import Stairs, Strand


@dataclass(frozen=True, slots=True, kw_only=True)
class Float(Elementwise[FloatFormat]):
    """Round to the nearest number, ties to the even mantissa; what lies beyond saturates.

    A code is the number's bits: a sign, exponent and mantissa. 0 has one code, that of +0.
    """

    def fit(self, x: Tensor, formats: Sequence[FloatFormat],
            axes: Sequence[int] | None = None) -> list[Params]:
        """Scales of *x* in each of *formats*, and which of their numbers lose least.

        Raises:
            BadInput: the tensor is empty or has values that are not finite.
        """
        def found(layout: Layout, own: list[FloatFormat]) -> list[Params]:
            slices, tokens = Slices.of(x, layout), 1 if axes is None else layout.sums
            return [_fitted(slices, fmt, tokens) for fmt in own]

        return by_layout(x, formats, axes, found)

    def coded(self, rows: Tensor, params: Params, fmt: FloatFormat, layout: Layout) -> Tensor:
        """The bits of the nearest numbers."""
        del layout
        return codes_of(rows.float() / params.scale, _numbers(fmt, params))

    def values(self, codes: Tensor, params: Params, fmt: FloatFormat, layout: Layout) -> Tensor:
        """Numbers times the scale."""
        del layout
        numbers = numbers_of(_numbers(fmt, params)).to(codes.device)
        return numbers[codes.long()].mul_(params.scale)

    def stairs(self, params: Params, fmt: FloatFormat) -> Stairs:
        """The numbers in rising order, exactly."""
        return _stairs(_numbers(fmt, params))


@cache
def _stairs(numbers: MiniFloat) -> Stairs:
    known = numbers_of(numbers)[:numbers.last_code + 1]
    levels = torch.cat([-known[1:].flip(0), known])
    sizes = torch.arange(len(known))
    codes = torch.cat([sizes[1:].flip(0) + (1 << (numbers.bits - 1)), sizes])
    # A number halfway between two goes to one of them: where that is the upper one, the bound is
    # the float32 number before.
    bounds = (levels[1:] + levels[:-1]) / 2
    upper = rounded_(bounds.clone(), numbers) == levels[1:]
    before = torch.nextafter(bounds, torch.full_like(bounds, -torch.inf))
    return Stairs(bounds=torch.where(upper, before, bounds), codes=codes,
                  strands=(Strand.of(levels.tolist()),))


def _numbers(fmt: FloatFormat, params: Params) -> MiniFloat:
    return fmt.candidates[int(params.more["table"]) if "table" in params.more else 0]


def _fitted(slices: Slices, fmt: FloatFormat, tokens: int) -> Params:
    if fmt.dynamic:
        return token_scaled(slices, fmt)
    return free_scaled(slices, fmt) if fmt.blocks == "real" else block_scaled(slices, fmt, tokens)
