"""GELU in integers, as I-ViT has it."""

from __future__ import annotations

import torch
from torch import Tensor

from mpsearch.backends.integer_only.shift_exp import shift_exp
from mpsearch.backends.integer_only.shiftmax import normalised


def shift_gelu(codes: Tensor, *, places: int, depth: int = 23, bits: int = 16) -> Tensor:
    """GELU as x * sigmoid(1.702 x) for ``x = codes * 2**-places``, in the same units; int64.

    ShiftGELU of I-ViT (Li and Gu, ICCV 2023, eqs. 17 to 19): with m the largest y = 1.702 x of a
    row, but at least 0, ``sigmoid(y) = exp(y - m) / (exp(y - m) + exp(-m))``. A row is the last
    dimension. Where m is above ``depth * ln 2``, 16 for 23, both exponentials end at 2**-depth, and
    sigmoids of negative numbers come out near one half: use `lambda_shift_gelu` for long tails.

    *codes* are integers of at most 31 bits, places + depth at most 60: the sum of two exponentials
    is at most 2**61, the sigmoid from 0 to 2**(bits - 1), and its product with a code below 2**62
    for up to 32 bits. The result lies between 0 and the code it belongs to.
    """
    wide = codes.to(torch.int64)
    y = times_1702(wide)
    most = y.amax(-1, keepdim=True).clamp_(min=0)
    e, of_zero = shift_exp(most - y, places, depth), shift_exp(most, places, depth)
    return gated(wide, normalised(e, e + of_zero, bits), bits)


def times_1702(wide: Tensor) -> Tensor:
    """1.703125 times integers below 2**61, by shifts: 1 + 1/2 + 1/8 + 1/16 + 1/64.

    I-ViT stops before the last term, at 1.6875.
    """
    return wide + (wide >> 1) + (wide >> 3) + (wide >> 4) + (wide >> 6)


def gated(wide: Tensor, gate: Tensor, bits: int) -> Tensor:
    """*wide* times *gate* in units of 2**-(bits - 1), rounded to the nearest."""
    return (wide * gate).add_(1 << (bits - 2)).bitwise_right_shift_(bits - 1)
