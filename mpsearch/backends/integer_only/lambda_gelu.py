"""GELU in integers for rows with long tails."""

from __future__ import annotations

import torch
from torch import Tensor

from mpsearch.backends.integer_only.shift_exp import shift_exp
from mpsearch.backends.integer_only.shift_gelu import gated, times_1702
from mpsearch.backends.integer_only.shiftmax import normalised


def lambda_shift_gelu(codes: Tensor, *, places: int, limit: int = 8, depth: int = 23,
                      bits: int = 16) -> Tensor:
    """GELU as x * sigmoid(1.702 x) for ``x = codes * 2**-places``, in the same units; int64.

    After the λ-ShiftGELU of I-Segmenter (2025), which clips long tails before ShiftGELU sees them:
    here the sigmoid's argument is taken of x clipped to *limit* (λ) on either side. With a fixed
    limit no largest number of the row is needed, as ``sigmoid(y) = 1 / (1 + e)`` for y >= 0 and
    ``e / (1 + e)`` else, with ``e = exp(-|y|)``: a number's result depends on it alone.

    Off by at most 0.0239 where places are many, of which x * sigmoid(1.702 x) itself has 0.0203; by
    at most one step, 0.0625, for 8-bit codes with 4 places.

    *codes* are integers of at most 31 bits, places + depth at most 60: ``1 + e`` is at most 2**61
    units, the sigmoid from 0 to 2**(bits - 1), and its product with a code below 2**62 for up to
    32 bits. The result lies between 0 and the code it belongs to.
    """
    wide = codes.to(torch.int64)
    e = shift_exp(times_1702(wide.abs().clamp_(max=limit << places)), places, depth)
    one = e.new_full((), 1 << (places + depth))
    return gated(wide, normalised(torch.where(wide < 0, e, one), e + one, bits), bits)
