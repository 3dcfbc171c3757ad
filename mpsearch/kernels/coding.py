"""How an activation becomes codes: by one scale and zero point, or by those of each row."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from mpsearch.kernels import ops
from mpsearch.kernels.activation import Activation, quantize
from mpsearch.kernels.native import CodingOf

_HALF = 128


@dataclass(frozen=True, kw_only=True)
class Coding:
    """Codes of 2 to 8 bits from *first* to *last*, a ``code_range``.

    With *scale* and *zero* (as the format counts) they are those of all rows; without, each row
    gets the smallest scale that clips nothing, and a zero point unless *symmetric*. *where* names
    the numbers for people.
    """

    first: int
    last: int
    symmetric: bool = True
    scale: float | None = None
    zero: int = 0
    where: str = ""

    def __call__(self, x: Tensor) -> Activation:
        """The codes of *x* [..., K], as `quantize` makes them.

        Raises:
            BadInput: a number is NaN or infinite.
        """
        scale = None if self.scale is None else self.tables[0].to(x.device)
        return quantize(x, self.first, self.last, scale=scale, zero=self.zero,
                        symmetric=self.symmetric, where=self.where)

    def same(self, other: Coding) -> bool:
        """Whether *other* makes the same codes of the same numbers."""
        return self._numbers == other._numbers

    @property
    def _numbers(self) -> tuple[object, ...]:
        return self.first, self.last, self.symmetric, self.scale, self.zero

    @property
    def static(self) -> bool:
        """Whether all rows have one scale."""
        return self.scale is not None

    @cached_property
    def raw(self) -> CodingOf:
        """This, as the C interface reads it."""
        lower = 0 if self.scale is None else self.zero - self._offset
        return CodingOf(first=self.first, last=self.last, dynamic=self.scale is None,
                        symmetric=self.symmetric, zero=lower, scale=self.scale or 0.0)

    @cached_property
    def tables(self) -> tuple[Tensor, Tensor]:
        """The one scale and zero point of static codes, as an `Activation` has them."""
        return (torch.tensor([self.scale or 0.0]),
                torch.tensor([self.zero - self._offset], dtype=torch.int32))

    @property
    def refused(self) -> str:
        """What to say of numbers that are not finite."""
        return ops.not_finite(self.where)

    @property
    def _offset(self) -> int:
        return _HALF if self.last >= _HALF else 0
