"""Products of two activations."""

# ruff: noqa: PLR0917 - kernels take their arguments in order

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from mpsearch.kernels.gpu.place import at, tiles

_BLOCK_M = _BLOCK_N = _BLOCK_K = 64


def batched_sums(a: Tensor, a_zero: Tensor, b: Tensor, b_zero: Tensor) -> Tensor:
    """int32 [B, M, N] of *a* [B, M, K] and *b* [B, N, K], any strides; zeros [B, M] and [B, N]."""
    return _launched(a, a_zero, b, b_zero, None)


def batched(a: Tensor, a_zero: Tensor, b: Tensor, b_zero: Tensor,
            scales: tuple[Tensor, Tensor]) -> Tensor:
    """The same times *scales*, those of *b* first: float32."""
    return _launched(a, a_zero, b, b_zero, scales)


def _launched(a: Tensor, a_zero: Tensor, b: Tensor, b_zero: Tensor,
              scales: tuple[Tensor, Tensor] | None) -> Tensor:
    (batch, rows, length), columns = a.shape, b.shape[1]
    out = a.new_empty((batch, rows, columns),
                      dtype=torch.int32 if scales is None else torch.float32)
    of_a, of_b = scales or (out, out)
    grid = batch, tiles(rows, _BLOCK_M), tiles(columns, _BLOCK_N)
    with at(a):
        if out.numel():
            _kernel[grid](
                a, *a.stride(), b, *b.stride(), of_a, of_b, a_zero, b_zero, out, rows, columns,
                length, raw=scales is None, block_m=_BLOCK_M, block_n=_BLOCK_N, block_k=_BLOCK_K,
                enable_fp_fusion=False)
    return out


@triton.jit
def _kernel(a: tl.tensor, a_batch: tl.tensor, a_row: tl.tensor, a_step: tl.tensor, b: tl.tensor,
            b_batch: tl.tensor, b_row: tl.tensor, b_step: tl.tensor, a_scale: tl.tensor,
            b_scale: tl.tensor, a_zero: tl.tensor, b_zero: tl.tensor, out: tl.tensor, m: tl.tensor,
            n: tl.tensor, k: tl.tensor, raw: tl.constexpr, block_m: tl.constexpr,
            block_n: tl.constexpr, block_k: tl.constexpr) -> None:
    """One tile of the output of one of the batch."""
    batch = tl.program_id(0).to(tl.int64)
    rows = tl.program_id(1) * block_m + tl.arange(0, block_m)
    cols = tl.program_id(2) * block_n + tl.arange(0, block_n)
    row, col = rows < m, cols < n
    left = a + batch * a_batch + rows[:, None] * a_row
    right = b + batch * b_batch + cols[None, :] * b_row
    sums = tl.zeros((block_m, block_n), tl.int32)
    of_rows, of_cols = tl.zeros((block_m,), tl.int32), tl.zeros((block_n,), tl.int32)
    for start in range(0, k, block_k):
        at_k = start + tl.arange(0, block_k)
        inside = at_k < k
        one = tl.load(left + at_k[None, :] * a_step, mask=row[:, None] & inside[None, :], other=0)
        two = tl.load(right + at_k[:, None] * b_step, mask=inside[:, None] & col[None, :], other=0)
        of_rows += tl.sum(one.to(tl.int32), 1)
        of_cols += tl.sum(two.to(tl.int32), 0)
        sums = tl.dot(one, two, sums)
    at_a, at_b = batch * m + rows, batch * n + cols
    of_a = tl.load(a_zero + at_a, mask=row, other=0)
    of_b = tl.load(b_zero + at_b, mask=col, other=0)
    # the sum of (a - its zero) * (b - its zero), multiplied out
    sums -= of_a[:, None] * of_cols[None, :] + (of_rows - k * of_a)[:, None] * of_b[None, :]
    target = out + at_a[:, None] * n + cols[None, :]
    there = row[:, None] & col[None, :]
    if raw:
        tl.store(target, sums, mask=there)
    else:
        made = sums.to(tl.float32) * tl.load(b_scale + at_b, mask=col, other=0)[None, :]
        made *= tl.load(a_scale + at_a, mask=row, other=0)[:, None]
        tl.store(target, made, mask=there)
