"""Codes of a tile of a packed weight, inside a kernel. The layout is that of `layout`."""

# ruff: noqa: PLR0917 - kernels take their arguments in order

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def plane(words: tl.tensor, line: tl.tensor, lines: tl.tensor, columns: tl.tensor, cols: tl.tensor,
          width: tl.constexpr, block_k: tl.constexpr, block_n: tl.constexpr) -> tl.tensor:
    """[block_k, block_n] numbers of a plane of *width* bits, whose words begin at *line*.

    *lines* words are left of the run; after them come zeros.
    """
    per: tl.constexpr = 32 // width
    at = tl.arange(0, block_k // per)
    there = (at < lines)[:, None] & (cols < columns)[None, :]
    found = tl.load(words + (line + at)[:, None] * columns + cols[None, :], mask=there, other=0)
    shifts = tl.arange(0, per) * width
    parts = (found[:, None, :] >> shifts[None, :, None]) & ((1 << width) - 1)
    return tl.reshape(parts, (block_k, block_n))


@triton.jit
def codes(words: tl.tensor, units: tl.tensor, unit: tl.tensor, left: tl.tensor, columns: tl.tensor,
          cols: tl.tensor, bits: tl.constexpr, block_k: tl.constexpr,
          block_n: tl.constexpr) -> tl.tensor:
    """Unsigned codes, int32 [block_k, block_n], from the 32 inputs of *unit* on.

    There are *units* of 32 inputs in the weight, *left* of them in the run.
    """
    made = tl.zeros((block_k, block_n), tl.int32)
    if bits & 8:
        made |= plane(words, unit * 8, left * 8, columns, cols, 8, block_k, block_n)
    if bits & 4:
        made |= plane(words, unit * 4, left * 4, columns, cols, 4, block_k, block_n)
    if bits & 2:
        line = units * (bits & 4) + unit * 2
        made |= plane(words, line, left * 2, columns, cols, 2, block_k, block_n) << (bits & 4)
    if bits & 1:
        line = units * (bits & 6) + unit
        made |= plane(words, line, left, columns, cols, 1, block_k, block_n) << (bits & 6)
    return made
