"""What the operators return, by shape and type alone: for the compiler and for fake tensors."""
# ruff: noqa: ARG001, PLR0917 - the arguments are those of the operators

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def out_size(size: Sequence[int], kernel: Sequence[int], window: Sequence[int]) -> tuple[int, int]:
    """Height and width of a convolution's output; *window* is stride, padding, dilation."""
    height, width = (
        (size[i] + 2 * window[2 + i] - window[4 + i] * (kernel[i] - 1) - 1) // window[i] + 1
        for i in range(2))
    return height, width


def int_linear(codes: Tensor, scale: Tensor, zero: Tensor, stream: Tensor, w_scale: Tensor,
               w_zero: Tensor, w_sums: Tensor, bits: int, outputs: int, group: int,
               bias: Tensor | None) -> Tensor:
    """float32 [M, outputs]."""
    return codes.new_empty((codes.shape[0], outputs), dtype=torch.float32)


def int_linear_sums(codes: Tensor, zero: Tensor, stream: Tensor, w_scale: Tensor, w_zero: Tensor,
                    w_sums: Tensor, bits: int, outputs: int, group: int) -> Tensor:
    """int32 [M, outputs]."""
    return codes.new_empty((codes.shape[0], outputs), dtype=torch.int32)


def quantize_rows(x: Tensor, scale: Tensor, zero: Tensor, first: int, last: int,
                  where: str) -> Tensor:
    """int8 codes."""
    return torch.empty_like(x, dtype=torch.int8, memory_format=torch.contiguous_format)


def quantize_rows_dynamic(x: Tensor, first: int, last: int, symmetric: bool, where: str
                          ) -> tuple[Tensor, Tensor, Tensor]:
    """int8 codes, float32 scales and int32 zero points."""
    codes = torch.empty_like(x, dtype=torch.int8, memory_format=torch.contiguous_format)
    rows = (x.shape[0],)
    return codes, x.new_empty(rows), x.new_empty(rows, dtype=torch.int32)


def int_batched(a: Tensor, a_scale: Tensor, a_zero: Tensor, b: Tensor, b_scale: Tensor,
                b_zero: Tensor) -> Tensor:
    """float32 [B, M, N]."""
    return a.new_empty((*a.shape[:2], b.shape[1]), dtype=torch.float32)


def int_batched_sums(a: Tensor, a_zero: Tensor, b: Tensor, b_zero: Tensor) -> Tensor:
    """int32 [B, M, N]."""
    return a.new_empty((*a.shape[:2], b.shape[1]), dtype=torch.int32)


def int_depthwise_sums(codes: Tensor, filters: Tensor, zero: int, window: Sequence[int]) -> Tensor:
    """int32 [B, C, height, width]."""
    size = out_size(codes.shape[2:], filters.shape[1:], window)
    return codes.new_empty((*codes.shape[:2], *size), dtype=torch.int32)
