"""Exponentials of numbers that are not positive, with shifts and one subtraction."""

from __future__ import annotations

from torch import Tensor


def shift_exp(distance: Tensor, places: int, depth: int) -> Tensor:
    """exp(-d * 2**-places) in units of 2**-(places + depth), for integers *distance* d >= 0.

    I-ViT's ShiftExp (Li and Gu, ICCV 2023, eqs. 11 to 14). The factor log2(e) is 1.4375 = 1 + 1/2 -
    1/16, and 2**-r is 1 - r/2 for 0 <= r < 1: off by at most 0.044 of exp(0) where places are many.
    What is smaller than 2**-depth becomes 2**-depth.

    d is an int64 below 2**61; ``t = d + d/2 - d/16`` is then below 2**62. It is clipped to
    ``depth * 2**places``, so that the result lies between 2**places and 2**(places + depth), and
    what is shifted on the way below 2**(places + depth + 1).
    """
    t = distance + (distance >> 1) - (distance >> 4)
    t = t.clamp_(max=depth << places)
    whole = t >> places
    rest = t & ((1 << places) - 1)
    mantissa = rest.neg_().add_(2 << places).bitwise_left_shift_(depth)
    return mantissa.bitwise_right_shift_(whole.add_(1))
