"""Linear layers: codes times a packed weight, unpacked in the kernel, on tensor cores for int8."""

# ruff: noqa: PLR0917 - kernels take their arguments in order

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from mpsearch.kernels.gpu import layout
from mpsearch.kernels.gpu.place import at, step, tiles
from mpsearch.kernels.gpu.unpack import codes as unpacked
from mpsearch.kernels.packed import PackedWeight

_FEW = 16  # rows up to which reading the weight takes the time, not multiplying


def linear(codes: Tensor, scale: Tensor, zero: Tensor, weight: PackedWeight,
           bias: Tensor | None) -> Tensor:
    """float32 [M, outputs] of *codes* int8 [M, K], the bits of `reference.linear`."""
    return _launched(codes, scale, zero, weight, bias)


def linear_sums(codes: Tensor, zero: Tensor, weight: PackedWeight) -> Tensor:
    """int32 sums [M, outputs] of *codes* [M, K] and a weight of one group."""
    return _launched(codes, None, zero, weight, None)


def _launched(x: Tensor, scale: Tensor | None, zero: Tensor, weight: PackedWeight,
              bias: Tensor | None) -> Tensor:
    rows, inputs = x.shape
    x = x if x.stride(1) == 1 else x.contiguous()
    out = x.new_empty((rows, weight.outputs),
                      dtype=torch.int32 if scale is None else torch.float32)
    run = layout.run_of(weight.group)
    block_m, block_n, block_k = _blocks(rows, run)
    grid = tiles(rows, block_m), tiles(weight.outputs, block_n)
    own = weight.scale if scale is None else scale
    with at(x):
        if rows:
            _kernel[grid](
                x, x.stride(0), own, step(own), zero, step(zero), weight.stream, weight.scale,
                weight.zero, weight.sums, own if bias is None else bias, out, rows,
                weight.outputs, inputs, weight.group, weight.groups, run // 32,
                bits=weight.bits, raw=scale is None, has_bias=bias is not None, block_m=block_m,
                block_n=block_n, block_k=block_k, enable_fp_fusion=False)
    return out


def _blocks(rows: int, run: int) -> tuple[int, int, int]:
    """Rows, columns and inputs of a tile."""
    longest = 128 if rows <= _FEW else 64
    block_k = min(longest, triton.next_power_of_2(run))
    return (16, 32, block_k) if rows <= _FEW else (64, 64, block_k)


@triton.jit
def _kernel(x: tl.tensor, x_step: tl.tensor, scale: tl.tensor, scale_step: tl.tensor,
            zero: tl.tensor, zero_step: tl.tensor, words: tl.tensor, w_scale: tl.tensor,
            w_zero: tl.tensor, w_sums: tl.tensor, bias: tl.tensor, out: tl.tensor, m: tl.tensor,
            n: tl.tensor, k: tl.tensor, group: tl.tensor, groups: tl.tensor, run: tl.tensor,
            bits: tl.constexpr, raw: tl.constexpr, has_bias: tl.constexpr, block_m: tl.constexpr,
            block_n: tl.constexpr, block_k: tl.constexpr) -> None:
    """One tile of the output. *run* counts 32 inputs."""
    rows = tl.program_id(0) * block_m + tl.arange(0, block_m)
    cols = tl.program_id(1) * block_n + tl.arange(0, block_n)
    row, col = rows < m, cols < n
    lines = x + rows.to(tl.int64)[:, None] * x_step
    of_x = tl.load(zero + rows * zero_step, mask=row, other=0)
    target = out + rows.to(tl.int64)[:, None] * n + cols[None, :]
    there = row[:, None] & col[None, :]
    # from -0.0, which leaves every first number as it is
    total = tl.full((block_m, block_n), -0.0, tl.float32)
    for g in range(groups):
        place = cols // 64 * groups * 64 + g * 64 + cols % 64
        of_w = tl.load(w_zero + place, mask=col, other=0)
        sums = _sums(lines + g * group, row, tl.minimum(group, k - g * group), of_w, words,
                     groups * run, g * run, run, (n + 63) // 64 * 64, cols, bits, block_m,
                     block_n, block_k)
        sums -= of_x[:, None] * tl.load(w_sums + place, mask=col, other=0)[None, :]
        if raw:
            tl.store(target, sums, mask=there)
        else:
            total += sums.to(tl.float32) * tl.load(w_scale + place, mask=col, other=0)[None, :]
    if not raw:
        total *= tl.load(scale + rows * scale_step, mask=row, other=0)[:, None]
        if has_bias:
            total += tl.load(bias + cols, mask=col, other=0)[None, :]
        tl.store(target, total, mask=there)


@triton.jit
def _sums(lines: tl.tensor, row: tl.tensor, length: tl.tensor, of_w: tl.tensor, words: tl.tensor,
          units: tl.tensor, first: tl.tensor, run: tl.tensor, columns: tl.tensor, cols: tl.tensor,
          bits: tl.constexpr, block_m: tl.constexpr, block_n: tl.constexpr,
          block_k: tl.constexpr) -> tl.tensor:
    """Sums of codes times (weight code - its zero) over the *length* inputs of a run."""
    sums = tl.zeros((block_m, block_n), tl.int32)
    of_rows = tl.zeros((block_m,), tl.int32)
    for start in range(0, length, block_k):
        at_k = start + tl.arange(0, block_k)
        own = tl.load(lines + at_k[None, :], mask=row[:, None] & (at_k < length)[None, :], other=0)
        unit = start // 32
        code = unpacked(words, units, first + unit, run - unit, columns, cols, bits, block_k,
                        block_n)
        if bits < 8:  # noqa: PLR2004 - the difference fits in int8
            code -= of_w[None, :]
        else:  # codes less 128 do; the rest of the zero point comes with the sums of rows
            code -= 128
            of_rows += tl.sum(own.to(tl.int32), 1)
        sums = tl.dot(own, code.to(tl.int8), sums)
    if bits == 8:  # noqa: PLR2004
        sums -= of_rows[:, None] * (of_w - 128)[None, :]
    return sums
