"""LayerNorm in integers."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mpsearch.backends.integer_only.square_root import bit_length, integer_sqrt

_TOP = 62
PLACES = 30
"""Binary places of a normalised number."""


def normalise(codes: Tensor, *, epsilon: int) -> Tensor:
    """``y / sqrt(sum(y**2) + epsilon)`` over the last dimension, in units of 2**-30; int64.

    I-LayerNorm of I-ViT (Li and Gu, ICCV 2023, after I-BERT), with three differences: the root is
    exact, LayerNorm's epsilon is kept (in squares of a code's unit, times the length, at least 1),
    and each row is scaled by a power of two first, so that rows of small numbers keep 30 bits too.

    y are the codes less their mean, which is rounded to a whole number. That leaves an error of
    about 0.6 / s standard deviations for codes that spread by s steps: much where codes have 8
    bits, next to nothing for the wide integers that are normalised here.

    ``sum(y**2) + epsilon`` must be below 2**62 (`widest` tells when). Scaled by 4**t it lies from
    2**60 to 2**62, its root r from 2**30 to 2**31, and the factor ``2**62 / r`` below 2**32 + 1.
    As ``|y| * 2**t <= r``, the product with the factor is at most 2**62, and with the half that
    rounds it stays below 2**63. The result is from -2**30 to 2**30.
    """
    wide = codes.to(torch.int64)
    count = wide.shape[-1]
    doubled = wide.sum(-1, keepdim=True) * 2 + count
    y = wide - torch.div(doubled, doubled.new_full((), 2 * count), rounding_mode="floor")
    squares = (y * y).sum(-1, keepdim=True) + epsilon
    up = (_TOP - bit_length(squares)) >> 1
    root = integer_sqrt(squares << (2 * up))
    factor = torch.div(root.new_full((), 1 << _TOP), root, rounding_mode="floor")
    down = _TOP - PLACES
    return ((y << up) * factor).add_(1 << (down - 1)).bitwise_right_shift_(down)


def widest(count: int, epsilon: int) -> int:
    """The largest difference of two codes in a row of *count* that `normalise` can take.

    Squares of deviations from the mean add up to at most ``count / 4`` times the square of that
    difference (Popoviciu), those from the rounded mean to ``count / 4`` more.
    """
    room = ((1 << _TOP) - 1 - epsilon) * 4 // count - 1
    return math.isqrt(room) if room > 0 else 0
