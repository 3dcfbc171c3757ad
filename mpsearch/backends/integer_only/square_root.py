"""Square roots of integers, exact."""

from __future__ import annotations

import torch
from torch import Tensor

_STEPS = 5


def bit_length(number: Tensor) -> Tensor:
    """How many binary digits each int64 >= 0 has; 0 has none."""
    rest, length = number, torch.zeros_like(number)
    for step in (32, 16, 8, 4, 2, 1):
        high = rest >> step
        large = high > 0
        rest = torch.where(large, high, rest)
        length = length + large.to(torch.int64) * step
    return length + rest


def integer_sqrt(number: Tensor) -> Tensor:
    """The square root of each int64 from 0 to 2**62, rounded down.

    Newton's iteration on integers from a power of two above the root (I-BERT, Kim et al., ICML
    2021, algorithm 4; I-ViT starts at 2**16 and takes ten steps). The start is at most twice the
    root: relative errors are at most 1, 1/4, 1/40, 2**-11, 2**-24 and, after five steps, 2**-49,
    which is less than 1 for roots up to 2**31. Steps round down, and never below the root rounded
    down; what is above it by 1 is corrected. A start is at most 2**32, and the square that is
    compared at most (2**31 + 1)**2.
    """
    one = torch.ones_like(number)
    root = one << ((bit_length(number) + 1) >> 1)
    for _ in range(_STEPS):
        root = (root + torch.div(number, root, rounding_mode="floor")) >> 1
        root = root.clamp_(min=1)
    return root - (root * root > number).to(torch.int64)
