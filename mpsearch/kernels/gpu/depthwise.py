"""Convolutions with one filter a channel."""

# ruff: noqa: PLR0917 - kernels take their arguments in order

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from mpsearch.kernels.gpu.place import at, tiles
from mpsearch.kernels.shapes import out_size

_BLOCK = 256


def depthwise(codes: Tensor, filters: Tensor, zero: int, window: Sequence[int]) -> Tensor:
    """int32 sums of dense *codes* int8 [B, C, H, W] and *filters* int16 [C, kh, kw]."""
    high, wide = out_size(codes.shape[2:], filters.shape[1:], window)
    out = codes.new_empty((*codes.shape[:2], high, wide), dtype=torch.int32)
    grid = codes.shape[0] * codes.shape[1], tiles(high * wide, _BLOCK)
    with at(codes):
        if out.numel():
            _kernel[grid](codes, filters, out, zero, codes.shape[1], *codes.shape[2:], high, wide,
                          *window, kernel_y=filters.shape[1], kernel_x=filters.shape[2],
                          block=_BLOCK)
    return out


@triton.jit
def _kernel(codes: tl.tensor, filters: tl.tensor, out: tl.tensor, zero: tl.tensor,
            channels: tl.tensor, rows: tl.tensor, cols: tl.tensor, high: tl.tensor, wide: tl.tensor,
            stride_y: tl.tensor, stride_x: tl.tensor, padding_y: tl.tensor, padding_x: tl.tensor,
            dilation_y: tl.tensor, dilation_x: tl.tensor, kernel_y: tl.constexpr,
            kernel_x: tl.constexpr, block: tl.constexpr) -> None:
    """A run of outputs of one channel of one image."""
    image = tl.program_id(0).to(tl.int64)
    own = filters + image % channels * (kernel_y * kernel_x)
    place = tl.program_id(1) * block + tl.arange(0, block)
    sums = tl.zeros((block,), tl.int32)
    for y in range(kernel_y):
        row = place // wide * stride_y + y * dilation_y - padding_y
        for x in range(kernel_x):
            col = place % wide * stride_x + x * dilation_x - padding_x
            inside = (row >= 0) & (row < rows) & (col >= 0) & (col < cols)
            found = tl.load(codes + image * rows * cols + row * cols + col,
                            mask=inside & (place < high * wide), other=0).to(tl.int32)
            step = tl.where(inside, found - zero, 0)
            sums += step * tl.load(own + y * kernel_x + x).to(tl.int32)
    tl.store(out + image * high * wide + place, sums, mask=place < high * wide)
