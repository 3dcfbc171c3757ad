"""Two of every four weights, as integers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from mpsearch.core.formats.base import Format, Operand, check_one_of, rows_of
from mpsearch.core.formats.integer import IntFormat, ScaleRule

_FOUR, _TWO = 4, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Sparse24Format(Format):
    """Of every four weights in a row the two largest, as symmetric integers; the others are 0.

    *bits* is the width of a kept integer, as papers write it. One code holds two integers and their
    places among the four, two bits each: ``bits / 2 + 1`` stored bits a weight, which is what
    sizes and budgets count. Rows are filled up to fours. *scale* is the rule that finds the
    scale of the kept ones.

    Raises:
        BadInput: bits outside 2 to 8, or an unknown granularity or rule.
    """

    OPERANDS: ClassVar[tuple[Operand, ...]] = ("weight",)
    SUMMARY: ClassVar[str] = "two of every four weights as integers, the others 0"
    SOURCE: ClassVar[str] = "Yu et al., GPUSQ-ViT, CVPR 2023"
    WIDTHS: ClassVar[tuple[float, ...]] = tuple(range(2, 9))
    GRANULARITIES: ClassVar[tuple[str, ...]] = ("tensor", "channel", "group")
    COLUMNWISE: ClassVar[bool] = False

    kind: Literal["sparse24"] = "sparse24"
    bits: int
    granularity: str = "channel"
    scale: ScaleRule = "least_squares"

    def __post_init__(self) -> None:
        Format.__post_init__(self)
        check_one_of(self.scale, ScaleRule)

    @property
    def kept(self) -> IntFormat:
        """The format of the kept weights."""
        return IntFormat(bits=self.bits, granularity=self.granularity, scale=self.scale)

    @property
    def arithmetic_bits(self) -> float:
        """Half the width, because half the multiplications are left."""
        return self.bits / 2

    @property
    def code_bits(self) -> int:
        """Two integers and two places."""
        return _TWO * (self.bits + 2)

    def codes(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """A code for every four weights of a row."""
        rows, length = rows_of(shape)
        return rows, math.ceil(length / _FOUR)
