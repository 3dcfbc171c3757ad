"""Activations to codes: a scale of every row where none is given, then the nearest codes."""

# ruff: noqa: PLR0917 - kernels take their arguments in order

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from mpsearch.kernels import reference
from mpsearch.kernels.gpu.place import at, step, tiles
from mpsearch.kernels.native import NotFinite

_BLOCK = 1024
_NARROW = 1 << 8


def quantize(x: Tensor, first: int, last: int, *, scale: Tensor | None, zero: Tensor | None,
             symmetric: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Codes of *x* [M, K], scales and zero points: the bits of `reference.quantize`.

    It waits for the GPU, which says whether all numbers were finite.

    Raises:
        NotFinite: a number is NaN or infinite.
    """
    rows, length = x.shape
    if not x.numel():
        return reference.quantize(x, first, last, scale=scale, zero=zero, symmetric=symmetric)
    x = x if x.stride(1) == 1 else x.contiguous()
    wide = last - first >= _NARROW
    half = (_NARROW ** 2 if wide else _NARROW) // 2
    offset = half if last >= half else 0
    codes = x.new_empty(x.shape, dtype=torch.int16 if wide else torch.int8)
    bad = x.new_zeros(1, dtype=torch.int32)
    with at(x):
        if scale is None or zero is None:
            scale, zero = x.new_empty(rows), x.new_empty(rows, dtype=torch.int32)
            _scales[rows,](x, x.stride(0), scale, zero, length, first, last, offset,
                           symmetric=symmetric, block=_BLOCK, enable_fp_fusion=False)
        _codes[rows, tiles(length, _BLOCK)](
            x, x.stride(0), scale, step(scale), zero, step(zero), codes, bad, length, first, last,
            offset, block=_BLOCK, enable_fp_fusion=False)
    if bool(bad):
        raise NotFinite("the numbers are not all finite")
    return codes, scale, zero


@triton.jit
def _nearest(x: tl.tensor) -> tl.tensor:
    """The nearest whole number, ties to even. Every step is exact."""
    below = tl.floor(x)
    over = x - below
    odd = below - 2 * tl.floor(below * 0.5) > 0
    return tl.where((over > 0.5) | ((over == 0.5) & odd), below + 1, below)  # noqa: PLR2004


@triton.jit
def _codes(x: tl.tensor, x_step: tl.tensor, scale: tl.tensor, scale_step: tl.tensor,
           zero: tl.tensor, zero_step: tl.tensor, codes: tl.tensor, bad: tl.tensor,
           length: tl.tensor, first: tl.tensor, last: tl.tensor, offset: tl.tensor,
           block: tl.constexpr) -> None:
    """A run of one row."""
    row = tl.program_id(0).to(tl.int64)
    cols = tl.program_id(1) * block + tl.arange(0, block)
    there = cols < length
    own = tl.load(x + row * x_step + cols, mask=there, other=0)
    finite = tl.abs(own) < float("inf")
    tl.store(bad + tl.zeros_like(cols), 1, mask=finite == 0)
    steps = tl.div_rn(own, tl.load(scale + row * scale_step))
    # far beyond every code, and still whole numbers in float32
    steps = tl.minimum(tl.maximum(tl.where(finite, steps, 0.0), -1048576.0), 1048576.0)
    whole = _nearest(steps) + (tl.load(zero + row * zero_step) + offset).to(tl.float32)
    kept = tl.minimum(tl.maximum(whole, first), last) - offset
    tl.store(codes + row * length + cols, kept.to(codes.dtype.element_ty), mask=there)


@triton.jit
def _scales(x: tl.tensor, x_step: tl.tensor, scale: tl.tensor, zero: tl.tensor, length: tl.tensor,
            first: tl.tensor, last: tl.tensor, offset: tl.tensor, symmetric: tl.constexpr,
            block: tl.constexpr) -> None:
    """The smallest scale of a row that clips nothing, and its zero point."""
    row = tl.program_id(0).to(tl.int64)
    lows, highs = tl.zeros((block,), tl.float32), tl.zeros((block,), tl.float32)
    for start in range(0, length, block):
        cols = start + tl.arange(0, block)
        own = tl.load(x + row * x_step + cols, mask=cols < length, other=0)
        lows, highs = tl.minimum(lows, own), tl.maximum(highs, own)
    low, high = tl.min(lows, 0).to(tl.float64), tl.max(highs, 0).to(tl.float64)
    both = tl.maximum(high / last, low / first) if symmetric else (high - low) / (last - first)
    exact = tl.where(both > 0, both, 1.0)
    exponent = (exact.to(tl.int64, bitcast=True) >> 52) - 1022 - 15
    exponent = tl.minimum(tl.maximum(exponent, -125), 112)
    unit = ((exponent + 1023) << 52).to(tl.float64, bitcast=True)
    units = (exact / unit).to(tl.float32)
    units = tl.minimum(tl.maximum(units, 2.0 ** -24), 65504.0).to(tl.float64)
    start = tl.minimum(tl.maximum(_nearest(-(low / unit) / units), first), last)
    tl.store(scale + row, (units * unit).to(tl.float32))
    own_zero = 0 if symmetric else start.to(tl.int32)
    tl.store(zero + row, own_zero - offset)
