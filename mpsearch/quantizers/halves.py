"""Numbers in 16 bits that share one power of two."""

from __future__ import annotations

import torch
from torch import Tensor

from mpsearch.quantizers.scales import floor_log2, power_of_two

# The largest number lies in [2**14, 2**15), so that rounding never leaves float16. The exponents
# are those at which float32 holds every float16 number.
_TOP_BINADE = 14
_EXPONENTS = (-125, 112)


def to_halves(x: Tensor, *, top: int = _TOP_BINADE,
              each: bool = False) -> tuple[Tensor, Tensor]:
    """*x* as float16 of its shape, and the exponent (int8 [1]) of the power of two they count.

    *top* is the binade of the largest float16 number. With *each*, every index of the first of
    three dimensions has an exponent of its own, [n, 1, 1].
    """
    dims = list(range(int(each), x.dim()))
    largest = x.float().abs().amax(dims, keepdim=each) if x.numel() else x.new_zeros(())
    largest = largest.float() if each else largest.float().view(1)
    exponent = (floor_log2(largest) - top).clamp(*_EXPONENTS)
    return (x.double() / power_of_two(exponent)).half(), exponent.to(torch.int8)


def from_halves(half: Tensor, exponent: Tensor) -> Tensor:
    """The float32 numbers that `to_halves` stored; exact."""
    return (half.double() * power_of_two(exponent.long())).float()
