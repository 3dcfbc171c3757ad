"""Calls of the C interface on tensors. Shapes and types were checked before."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from mpsearch.core.errors import BadInput, MpsearchError
from mpsearch.kernels.library import Kernels, threads

AUTOMATIC, FUSED, BUFFERED = 0, 1, 2
_NOT_FINITE, _NO_MEMORY = 1, 2


class NotFinite(BadInput):
    """Numbers to quantize are NaN or infinite."""


class CodingOf(ctypes.Structure):
    """How rows become codes from *first* to *last*, as the C interface reads it.

    *zero* is lower by 128 where the codes are; a *dynamic* one chooses scale and zero point.
    """

    _fields_ = (*((name, ctypes.c_int32) for name in
                  ("first", "last", "dynamic", "symmetric", "zero")), ("scale", ctypes.c_float))


def linear(own: Kernels, codes: Tensor, zero: Tensor, stream: Tensor, tables: Sequence[Tensor],
           *, bits: int, outputs: int, group: int, scale: Tensor | None = None,
           bias: Tensor | None = None, way: int = AUTOMATIC, gelu: bool = False,
           add: Tensor | None = None, coding: CodingOf | None = None) -> Tensor:
    """[M, outputs] of *codes* [M, K]: float32, or int32 sums where there is no *scale*.

    *tables* are the weight's scale, zero and sums. After the *bias* may follow GELU, and then
    numbers [M, outputs] that are added or a static *coding*, which makes the output int8 codes.

    Raises:
        NotFinite: a number to code is NaN or infinite.
    """
    rows, inputs = codes.shape
    if codes.stride(1) != 1:
        codes = codes.contiguous()
    raw = scale is None
    kind = torch.int32 if raw else torch.float32 if coding is None else torch.int8
    out = torch.empty((rows, outputs), dtype=kind)
    check(own.library.mps_linear(
        own.number, threads(), way, raw, at(codes), rows, codes.stride(0), at(scale),
        _step(scale), at(zero), _step(zero), at(stream), *map(at, tables), at(bias), bits,
        outputs, inputs, group, gelu, at(add), 0 if add is None else add.stride(0),
        None if coding is None else ctypes.addressof(coding), at(out)))
    return out


def quantize(own: Kernels, x: Tensor, first: int, last: int, *, scale: Tensor | None = None,
             zero: Tensor | None = None, symmetric: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """Codes int8 of *x* [..., K], and their scales and zero points: those given, or one a row.

    Raises:
        NotFinite: a number is NaN or infinite.
    """
    shape = _three(x)
    if shape is None:
        x = x.contiguous()
        shape = 1, 1, x.numel() // max(1, x.shape[-1]), 0, 0, x.shape[-1]
    rows = math.prod(shape[:3])
    dynamic = scale is None or zero is None
    scale = torch.empty(rows) if scale is None or dynamic else scale
    zero = torch.zeros(rows, dtype=torch.int32) if zero is None or dynamic else zero
    codes = torch.empty(x.shape, dtype=torch.int8)
    check(own.library.mps_quantize(
        own.number, threads(), dynamic, symmetric, at(x), x.shape[-1], _LONGS6(*shape), first,
        last, at(codes), at(scale), at(zero)))
    return codes, scale, zero


def _three(x: Tensor) -> tuple[int, ...] | None:
    """Three sizes of the rows of *x*, and their strides; None where memory is not so."""
    sizes, strides = x.shape, x.stride()
    if not x.dim() or x.dim() > _DIMENSIONS or strides[-1] != 1:
        return None
    ones = _DIMENSIONS - x.dim()
    return (*[1] * ones, *sizes[:-1], *[0] * ones, *strides[:-1])


def batched(own: Kernels, a: Tensor, a_zero: Tensor, b: Tensor, b_zero: Tensor, *,
            scales: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """[B, M, N] of *a* [B, M, K] and *b* [B, N, K], int32, or float32 with *scales*.

    Tables are dense, [B, M] of *a* and [B, N] of *b*, or hold one number.
    """
    (batch, rows, length), columns = a.shape, b.shape[1]
    out = torch.empty((batch, rows, columns),
                      dtype=torch.int32 if scales is None else torch.float32)
    a_scale, b_scale = scales or (None, None)
    check(own.library.mps_batched(
        own.number, threads(), scales is None, batch, length, at(a), rows, *a.stride(),
        at(a_scale), at(a_zero), _step(a_zero), at(b), columns, *b.stride(), at(b_scale),
        at(b_zero), _step(b_zero), at(out)))
    return out


def depthwise(own: Kernels, codes: Tensor, filters: Tensor, zero: int, window: Sequence[int], *,
              size: tuple[int, int]) -> Tensor:
    """int32 sums [B, C, *size*] of dense *codes* [B, C, H, W] and int16 *filters* [C, kh, kw].

    *window* is the stride, padding and dilation, each for y and x.
    """
    shape = (*codes.shape, *filters.shape[1:], *window, *size)
    out = torch.empty((*codes.shape[:2], *size), dtype=torch.int32)
    check(own.library.mps_depthwise(
        own.number, threads(), at(codes), at(filters),
        (ctypes.c_int64 * len(shape))(*shape), zero, at(out)))
    return out


_DIMENSIONS = 4
_LONGS6 = ctypes.c_int64 * 6


def at(x: Tensor | None) -> int | None:
    """Where *x* lies in memory; None stands for no tensor."""
    return None if x is None else x.data_ptr()


def _step(x: Tensor | None) -> int:
    """From a row's number to the next one's; 0 where there is one for all."""
    return 0 if x is None or x.numel() == 1 else 1


def check(status: int) -> None:
    """Raise what the *status* of a call says.

    Raises:
        NotFinite: a number to quantize is NaN or infinite.
        MpsearchError: the library is not the one this was written for.
    """
    if status == _NOT_FINITE:
        raise NotFinite("the numbers are not all finite")
    if status == _NO_MEMORY:
        raise MemoryError("no memory left for the integer kernels")
    if status:
        raise MpsearchError("the integer kernels have no such path: build them again")


def level_digits(own: Kernels, x: Tensor, scale: Tensor, shift: float, *, bounds: Tensor,
                 digits: Tensor) -> Tensor:
    """int8 [planes, M, K]: *digits* [planes, 2**bits] of the levels nearest to numbers [M, K].

    *bounds* are float32 [2**bits - 1], *scale* one number or one a row.

    Raises:
        NotFinite: a number is NaN or infinite.
    """
    x = x if x.stride(1) == 1 else x.contiguous()
    (rows, length), (planes, count) = x.shape, digits.shape
    out = torch.empty((planes, rows, length), dtype=torch.int8)
    check(own.library.mps_levels(
        own.number, threads(), at(x), rows, length, x.stride(0), at(scale), _step(scale), shift,
        at(bounds), count.bit_length() - 1, at(digits), planes, at(out)))
    return out


def decode_stream(own: Kernels, stream: Tensor, table: Tensor) -> Tensor:
    """A stream of bytes: those of *table*, uint8 [2**bits], at the codes of *stream*."""
    bits = len(table).bit_length() - 1
    units = len(stream) // (64 * bits)
    out = torch.empty(units * 512, dtype=torch.uint8)
    check(own.library.mps_decode(own.number, threads(), at(stream), units, bits, at(table),
                                  at(out)))
    return out
