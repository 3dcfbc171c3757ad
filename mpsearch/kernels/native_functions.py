"""Calls of the C interface for what lies between products. Shapes and types were checked before."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from mpsearch.kernels.library import Kernels, threads
from mpsearch.kernels.native import CodingOf, at, check

GELU, SOFTMAX, LAYER_NORM = range(3)
_OPERANDS = 4
_CODINGS, _SHAPE = CodingOf * (_OPERANDS + 1), ctypes.c_int64 * 18
Found = tuple[Tensor, Tensor, Tensor]
"""Codes, scales and zero points."""


def function(own: Kernels, which: int, x: Tensor, *, weight: Tensor | None = None,
             bias: Tensor | None = None, eps: float = 0.0) -> Tensor:
    """float32 like *x* [M, K], whose rows are dense: GELU, SOFTMAX or LAYER_NORM of each."""
    out = torch.empty(x.shape)
    check(own.library.mps_function(
        own.number, threads(), which, at(x), *x.shape, x.stride(0), at(weight), at(bias), eps,
        None, at(out), None, None, None))
    return out


def function_codes(own: Kernels, which: int, x: Tensor, coding: CodingOf, *,
                   weight: Tensor | None = None, bias: Tensor | None = None,
                   eps: float = 0.0) -> Found:
    """The codes of what `function` gives, with their scales and zero points if it is dynamic.

    Raises:
        NotFinite: a number is NaN or infinite.
    """
    tables = len(x) if coding.dynamic else 0
    codes, scale = torch.empty(x.shape, dtype=torch.int8), torch.empty(tables)
    zero = torch.empty(tables, dtype=torch.int32)
    check(own.library.mps_function(
        own.number, threads(), which, at(x), *x.shape, x.stride(0), at(weight), at(bias), eps,
        ctypes.addressof(coding), None, at(codes), at(scale), at(zero)))
    return codes, scale, zero


def attention(own: Kernels, given: Sequence[Tensor], codings: Sequence[CodingOf], *,
              factor: float, causal: bool, spent: Tensor | None = None) -> Tensor:
    """[B, H, M, values] of queries, keys and values [B, H, .., ..], whose rows are dense.

    It lies in memory as [B, M, H, values]. *codings* are those of queries, keys, chances and
    values; a fifth is that of the output, which then is int8. To *spent*, int64 [3], is added how
    many nanoseconds the first product, the softmax and the second product took.

    Raises:
        NotFinite: a number to code is NaN or infinite.
    """
    (batch, heads, rows, width), (keys, values) = given[0].shape, given[2].shape[2:]
    coded = len(codings) > _OPERANDS
    out = torch.empty((batch, rows, heads, values), dtype=torch.int8 if coded else torch.float32)
    out = out.transpose(1, 2)
    strides = (step for each in (*given, out) for step in each.stride()[:3])
    shape = _SHAPE(batch, heads, rows, keys, width, values, *strides)
    check(own.library.mps_attention(
        own.number, threads(), *map(at, given), shape, _CODINGS(*codings), coded, factor, causal,
        at(out), at(spent)))
    return out
