"""Rounding to small floating-point numbers, and their codes: sign, exponent, mantissa."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from mpsearch.core.formats.mini_float import MiniFloat

_EXPONENT_BITS = 0x7F800000  # of a float32
_FRACTION = 23
_BIAS = 127


def rounded_(x: Tensor, numbers: MiniFloat, shift: int = 0) -> Tensor:
    """*x* (float32) rounded in place to the nearest of *numbers* times ``2**-shift``.

    Ties go to the even mantissa, and what lies beyond the largest number becomes that one.
    """
    largest = numbers.largest * 2.0**-shift
    binade = _binade(x.clamp_(-largest, largest), numbers, shift)
    # Beside this much larger number, float32 has the steps of *numbers*: a sum rounds to them.
    binade.mul_(1.5 * 2.0 ** (_FRACTION - numbers.mantissa))
    return x.add_(binade).sub_(binade)


def codes_of(x: Tensor, numbers: MiniFloat) -> Tensor:
    """The codes of the numbers nearest to *x* (float32), int32; 0 always has the code 0."""
    y = rounded_(x.clone(), numbers)
    binade = _binade(y, numbers, 0)
    field = (binade.view(torch.int32) >> _FRACTION) - (_BIAS + numbers.lowest)
    steps = (y.abs() / binade).mul_(2.0**numbers.mantissa).int()
    size = (field << numbers.mantissa) + steps
    return size + ((y < 0).int() << (numbers.bits - 1))


@cache
def numbers_of(numbers: MiniFloat) -> Tensor:
    """What every code stands for, float32 [2**bits]; codes that are no numbers stand for NaN."""
    sizes = [numbers.magnitude(code) if code <= numbers.last_code else float("nan")
             for code in range(1 << (numbers.bits - 1))]
    positive = torch.tensor(sizes, dtype=torch.float32)
    return torch.cat([positive, -positive])


def _binade(x: Tensor, numbers: MiniFloat, shift: int) -> Tensor:
    """The power of two from which the steps at *x* follow."""
    power = (x.view(torch.int32) & _EXPONENT_BITS).view(torch.float32)
    return power.clamp_(min=2.0 ** (numbers.lowest - shift))
