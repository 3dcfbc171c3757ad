"""Multiplication by a fraction with a whole multiplier and a shift: b * 2**-c."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Self

import torch
from torch import Tensor

from mpsearch.core.errors import BadInput

_MULTIPLIER_BITS = 31
_PRODUCT_BITS = 62


def dyadic(ratio: Fraction, magnitude: int) -> tuple[int, int]:
    """The multiplier b and the shift c with b * 2**-c nearest to *ratio*, in lowest terms.

    b has at most 31 bits beside its sign, and as few as leave room: for integers q of at most
    *magnitude*, ``|q * b| < 2**62`` and c is from 0 to 62, so that ``q * b + 2**(c - 1)`` never
    leaves an int64. The relative error is at most 2**-31 where q has 31 bits or fewer and b is not
    cut by the limit of c.

    Raises:
        BadInput: the product itself does not fit.
    """
    if not ratio:
        return 0, 0
    size, sign = abs(ratio), 1 if ratio > 0 else -1
    bits = min(_MULTIPLIER_BITS, _PRODUCT_BITS - magnitude.bit_length())
    shift = min(bits - 1 - _exponent(size), _PRODUCT_BITS)
    number = _rounded(size * Fraction(2) ** shift)
    if number.bit_length() > bits:  # rounded up to the next power of two
        number, shift = number >> 1, shift - 1
    while shift > 0 and number % 2 == 0:
        number, shift = (number >> 1, shift - 1) if number else (0, 0)
    if shift < 0:
        number, shift = number << -shift, 0
    if number * magnitude >= 1 << _PRODUCT_BITS:
        raise BadInput(f"integers up to {magnitude} times {float(ratio):g} do not fit in 63 bits")
    return sign * number, shift


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dyadic:
    """One or many multiplications by fractions, each rounded to the nearest, halves upwards.

    ``q -> (q * multiplier + half) >> shift`` (Yao et al., HAWQ-V3, ICML 2021; the dyadic
    requantization of I-ViT, Li and Gu, ICCV 2023). All three are int64, and of one shape that
    broadcasts with the integers.
    """

    multiplier: Tensor
    shift: Tensor
    half: Tensor

    @classmethod
    def of(cls, ratios: Sequence[Fraction], magnitude: int, *, shape: Sequence[int] = (),
           device: torch.device | str | None = None) -> Self:
        """The multiplication of integers up to *magnitude* by *ratios*, laid out in *shape*."""
        pairs = [dyadic(ratio, magnitude) for ratio in ratios]
        numbers, shifts = ([pair[place] for pair in pairs] for place in (0, 1))
        halves = [(1 << shift) >> 1 for shift in shifts]
        made = (torch.tensor(each, dtype=torch.int64, device=device).reshape(tuple(shape))
                for each in (numbers, shifts, halves))
        return cls(**dict(zip(("multiplier", "shift", "half"), made, strict=True)))

    def __call__(self, codes: Tensor) -> Tensor:
        """The products as int64."""
        wide = codes.to(torch.int64) * self.multiplier
        return wide.add_(self.half).bitwise_right_shift_(self.shift)

    def ends(self, low: Tensor, high: Tensor) -> tuple[int, int]:
        """The least and the largest product of integers between *low* and *high*."""
        both = torch.stack([self(low), self(high)])
        return int(both.min()), int(both.max())


def square_root(number: int) -> Fraction:
    """The square root of a whole number, to 60 binary places."""
    places = 60
    return Fraction(math.isqrt(number << (2 * places)), 1 << places)


def _exponent(size: Fraction) -> int:
    """The e with 2**e <= size < 2**(e + 1)."""
    guess = size.numerator.bit_length() - size.denominator.bit_length()
    return guess - 1 if Fraction(2) ** guess > size else guess


def _rounded(size: Fraction) -> int:
    return math.floor(size + Fraction(1, 2))
