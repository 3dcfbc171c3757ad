"""The quantizer of small floating-point numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mpsearch.core.formats.floating import FloatFormat
from mpsearch.core.formats.mini_float import MiniFloat
from mpsearch.quantizers.base import Params
from mpsearch.quantizers.checked import finite, layout_for
from mpsearch.quantizers.float_scales import block_scaled, free_scaled, token_scaled
from mpsearch.quantizers.layout import layout_of
from mpsearch.quantizers.mini_floats import codes_of, numbers_of
from mpsearch.quantizers.slices import Slices


@dataclass(frozen=True, slots=True, kw_only=True)
class Float:
    """Round to the nearest number, ties to the even mantissa; what lies beyond saturates.

    A code is the number's bits: a sign, exponent and mantissa. 0 has one code, that of +0.
    """

    def fit(self, x: Tensor, formats: Sequence[FloatFormat],
            axes: Sequence[int] | None = None) -> list[Params]:
        """Scales of *x* in each of *formats*, and which of their numbers lose least.

        Raises:
            BadInput: the tensor is empty or has values that are not finite.
        """
        layouts = [layout_of(x.shape, fmt, axes) for fmt in formats]
        slices = {layout: Slices.of(x, layout) for layout in dict.fromkeys(layouts)}
        return [_fitted(slices[layout], fmt, 1 if axes is None else layout.sums)
                for layout, fmt in zip(layouts, formats, strict=True)]

    def encode(self, x: Tensor, params: Params, fmt: FloatFormat,
               axes: Sequence[int] | None = None) -> Tensor:
        """Codes of *x*, int32 and of its shape.

        Raises:
            BadInput: the tensor has values that are not finite, or does not fit *params*.
        """
        layout = layout_for(x.shape, params, fmt, axes)
        rows = finite(layout.to_slices(x.detach()))
        codes = codes_of(rows.float() / params.scale, _numbers(fmt, params))
        return layout.from_slices(codes).contiguous()

    def decode(self, codes: Tensor, params: Params, fmt: FloatFormat,
               axes: Sequence[int] | None = None, *, dtype: torch.dtype = torch.float32,
               shape: Sequence[int] | None = None) -> Tensor:
        """The numbers that *codes* stand for, in their shape; computed in float32.

        Raises:
            BadInput: the codes do not fit *params*.
        """
        del shape  # it is that of the codes
        layout = layout_for(codes.shape, params, fmt, axes)
        numbers = numbers_of(_numbers(fmt, params)).to(codes.device)
        values = numbers[layout.to_slices(codes).long()].mul_(params.scale)
        return layout.from_slices(values.to(dtype)).contiguous()


def _numbers(fmt: FloatFormat, params: Params) -> MiniFloat:
    return fmt.candidates[int(params.more["table"]) if "table" in params.more else 0]


def _fitted(slices: Slices, fmt: FloatFormat, tokens: int) -> Params:
    if fmt.dynamic:
        return token_scaled(slices, fmt)
    return free_scaled(slices, fmt) if fmt.blocks == "real" else block_scaled(slices, fmt, tokens)
