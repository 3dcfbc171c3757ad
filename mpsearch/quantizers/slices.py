"""A tensor cut into slices, with the one statistic that every scale rule starts from."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from torch import Tensor

from mpsearch.core.errors import BadInput
from mpsearch.quantizers.layout import Layout

# Elements of a tensor worked on at once, where a slice counts as some even if it is shorter: it has
# a list of candidates. This bounds the memory of a search.
_BLOCK = 1 << 20
_SLICE_AT_LEAST = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Slices:
    """Numbers *x* as [slices, length], and the smallest and largest of each slice and 0.

    *low* and *high* are float64 [S, 1], so that differences of float32 numbers cannot overflow.
    """

    x: Tensor
    low: Tensor
    high: Tensor

    @classmethod
    def of(cls, x: Tensor, layout: Layout) -> Self:
        """*x* cut as *layout* says.

        Raises:
            BadInput: *x* is empty, or has values that are not finite.
        """
        if x.numel() == 0:
            raise BadInput(f"cannot quantize an empty tensor of shape {tuple(x.shape)}")
        x = layout.to_slices(x.detach())
        low, high = x.amin(1, keepdim=True), x.amax(1, keepdim=True)
        check_finite(low, high)
        return cls(x=x, low=low.double().clamp(max=0), high=high.double().clamp(min=0))

    def blocks(self) -> Iterator[slice]:
        """Runs of whole slices, each small enough to work on at once (or a single slice)."""
        total, length = self.x.shape
        count = math.ceil(total / max(1, _BLOCK // max(length, _SLICE_AT_LEAST)))
        rows = math.ceil(total / count)
        for start in range(0, total, rows):
            yield slice(start, start + rows)


def check_finite(low: Tensor, high: Tensor) -> None:
    """Refuse a tensor whose extremes are *low* and *high* if any of its values is not finite.

    Raises:
        BadInput: an extreme is NaN or infinite (NaN wins every comparison in torch).
    """
    if not bool((low.isfinite() & high.isfinite()).all()):
        raise BadInput("cannot quantize: the tensor has values that are not finite (NaN or "
                       "infinite): check the weights and the data that led to it")
