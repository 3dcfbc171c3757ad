"""Softmax in integers."""

from __future__ import annotations

import torch
from torch import Tensor

from mpsearch.backends.integer_only.shift_exp import shift_exp

_ONE = 62
LONGEST = 1 << 16
"""Numbers that a row may have."""


def shiftmax(codes: Tensor, *, places: int, depth: int = 15, bits: int = 16) -> Tensor:
    """Softmax over the last dimension of ``codes * 2**-places``, in units of 2**-(bits - 1).

    Shiftmax of I-ViT (Li and Gu, ICCV 2023, eqs. 11 to 16), but for the last step: a row is divided
    by its sum s with the factor ``f = 2**62 / s``, rounded down, where the paper has 2**31 - 1 in
    place of 2**62 and so keeps only a few bits of f for a long row.

    For 8-bit codes with 4 places it was off by up to 0.020, by 0.021 with an 8-bit result, in rows
    of 2 to 197 numbers: what the exponential's line leaves after the division.

    *codes* are integers of at most 32 bits, places + depth at most 45, a row at most 2**16 long: an
    exponential e is at most 2**45 and s below 2**62. As e <= s, ``e * f <= 2**62``, and with the
    half that rounds it stays below 2**63. The result is from 0 to 2**(bits - 1); int64.
    """
    wide = codes.to(torch.int64)
    e = shift_exp(wide.amax(-1, keepdim=True) - wide, places, depth)
    return normalised(e, e.sum(-1, keepdim=True), bits)


def normalised(part: Tensor, whole: Tensor, bits: int) -> Tensor:
    """The share part / whole in units of 2**-(bits - 1), rounded; 0 <= part <= whole, 0 < whole."""
    factor = torch.div(whole.new_full((), 1 << _ONE), whole, rounding_mode="floor")
    down = _ONE - (bits - 1)
    return (part * factor).add_(1 << (down - 1)).bitwise_right_shift_(down)
