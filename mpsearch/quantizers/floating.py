"""The quantizer of small floating-point numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mpsearch.core.formats.exmy import MiniFloat
from mpsearch.core.formats.floating import FloatFormat
from mpsearch.quantizers.base import Params
from mpsearch.quantizers.exmy import codes_of, numbers_of
from mpsearch.quantizers.float_scales import block_scaled, free_scaled, token_scaled
from mpsearch.quantizers.layout import layout_of, matched
from mpsearch.quantizers.slices import Slices, check_finite

_RULES: dict[str, Callable[[Slices, FloatFormat], Params]] = {
    "real": free_scaled, "mx": block_scaled, "nv": block_scaled}


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
        return [token_scaled(slices[layout], fmt) if fmt.dynamic
                else _RULES[fmt.blocks](slices[layout], fmt)
                for layout, fmt in zip(layouts, formats, strict=True)]

    def encode(self, x: Tensor, params: Params, fmt: FloatFormat,
               axes: Sequence[int] | None = None) -> Tensor:
        """Codes of *x*, int32 and of its shape.

        Raises:
            BadInput: the tensor has values that are not finite, or does not fit *params*.
        """
        layout = matched(layout_of(x.shape, fmt, axes), params.scale)
        rows = layout.to_slices(x.detach())
        if rows.numel():
            check_finite(rows.amin(), rows.amax())
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
        layout = matched(layout_of(codes.shape, fmt, axes), params.scale)
        numbers = numbers_of(_numbers(fmt, params)).to(codes.device)
        values = numbers[layout.to_slices(codes).long()].mul_(params.scale)
        return layout.from_slices(values.to(dtype)).contiguous()


def _numbers(fmt: FloatFormat, params: Params) -> MiniFloat:
    return fmt.candidates[int(params.more["table"]) if "table" in params.more else 0]
