"""Whole numbers of any size as digits of 8 bits, which the kernels multiply."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

BASE = 256
_HALF = BASE // 2


class Digits(NamedTuple):
    """Whole numbers, each the sum of ``256**j * (code - zero)`` over the rows j of *codes*.

    *codes* are int8 [digits, n]. Numbers that are never negative have zero -128.
    """

    codes: Tensor
    zero: int

    @classmethod
    def of(cls, numbers: Sequence[int]) -> Digits:
        """As few digits as hold all *numbers*."""
        zero = -_HALF if min(numbers) >= 0 else 0
        rest = list(numbers)
        rows: list[list[int]] = []
        while not rows or any(rest):
            low = [(each + _HALF + zero) % BASE - _HALF - zero for each in rest]
            rows.append([each + zero for each in low])
            rest = [(each - own) // BASE for each, own in zip(rest, low, strict=True)]
        return cls(codes=torch.tensor(rows, dtype=torch.int8), zero=zero)
