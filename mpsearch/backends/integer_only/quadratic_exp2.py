"""Powers of two with a parabola between whole exponents."""

from __future__ import annotations

from torch import Tensor

PLACES = 32
"""Binary places of the result."""
_LINEAR, _SQUARE = 44012, 11244  # over 2**16; their difference is one half: 2**-1 is met


def quadratic_exp2(exponent: Tensor, places: int) -> Tensor:
    """2**(-t * 2**-places) in units of 2**-32, for integers *exponent* t >= 0.

    2**-r is ``1 - 0.67157 r + 0.17157 r**2`` for 0 <= r < 1, right at 0, 1/2 and 1 and off by at
    most 0.0032 of itself: a second-order polynomial as in I-BERT's i-exp (Kim et al., ICML 2021),
    where I-ViT's line is off by 0.061.

    t is an int64 and places at most 16: r has 16 bits, its square times a factor of 14 bits 46, and
    the result lies from 0 to 2**32. Exponents from 63 on give 0.
    """
    whole = (exponent >> places).clamp_(max=63)
    rest = (exponent & ((1 << places) - 1)) << (16 - places)
    square = (rest * rest * _SQUARE) >> 16
    return (square - rest * _LINEAR + (1 << PLACES)) >> whole
