"""Integers beside a few columns in 16 bits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from mpsearch.core.errors import BadInput
from mpsearch.core.formats.base import HALF, Format, Operand, check_one_of, rows_of
from mpsearch.core.formats.integer import IntFormat, ScaleRule

_NARROW_INDEX = 1 << 16
_LARGEST_SHARE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitFormat(Format):
    """What the two formats with outlier columns share.

    *share* is the part of the columns, the terms that the layer sums over, that may stay in 16
    bits: at least one, and never all. The others are symmetric integers of *bits*.

    Raises:
        BadInput: bits outside 2 to 8, an unknown granularity, or a share that is not above 0 and up
            to a half.
    """

    SOURCE: ClassVar[str] = "Dettmers et al., LLM.int8(), NeurIPS 2022"
    WIDTHS: ClassVar[tuple[float, ...]] = tuple(range(2, 9))
    COLUMNWISE: ClassVar[bool] = False

    bits: int
    share: float = 1 / 64

    def __post_init__(self) -> None:
        Format.__post_init__(self)
        self._settle(share=float(self.share))
        if not 0 < self.share <= _LARGEST_SHARE:
            raise BadInput(f"the share of outlier columns is above 0 and at most "
                           f"{_LARGEST_SHARE}, not {self.share:g}")

    @property
    def arithmetic_bits(self) -> float:
        """The mean width of a column."""
        return self.share * HALF + (1 - self.share) * self.bits

    @property
    def code_range(self) -> tuple[int, int]:
        """Smallest and largest code, both included."""
        return -(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1

    def outliers(self, columns: int) -> int:
        """How many of so many *columns* may stay in 16 bits."""
        return min(max(1, round(self.share * columns)), columns - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlierSplitFormat(SplitFormat):
    """A weight whose worst input columns are kept in 16 bits; the other columns are integers.

    *scale* is the rule that finds the scales of the integers. Groups are runs among the columns
    that are left. An outlier takes 16 bits, a column that has them an index of 16 or 32.
    """

    OPERANDS: ClassVar[tuple[Operand, ...]] = ("weight",)
    SUMMARY: ClassVar[str] = "integers, with the worst columns of a weight in 16 bits"
    GRANULARITIES: ClassVar[tuple[str, ...]] = ("tensor", "channel", "group")

    kind: Literal["outlier_split"] = "outlier_split"
    granularity: str = "channel"
    scale: ScaleRule = "least_squares"

    def __post_init__(self) -> None:
        SplitFormat.__post_init__(self)
        check_one_of(self.scale, ScaleRule)

    @property
    def rest(self) -> IntFormat:
        """The format of the columns that are no outliers."""
        return IntFormat(bits=self.bits, granularity=self.granularity, scale=self.scale)

    def codes(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """A code for every number outside the outlier columns."""
        rows, length = rows_of(shape)
        return rows, length - self.outliers(length)

    def slices(self, shape: tuple[int, ...]) -> int:
        """Number of scales of a weight of this *shape*."""
        return self.rest.slices(self.codes(shape))

    def tables(self, shape: tuple[int, ...]) -> dict[str, tuple[int, int]]:
        """Indices of the outlier columns, their numbers, and the exponent these share."""
        rows, length = rows_of(shape)
        count = self.outliers(length)
        return {"columns": (count, 16 if length <= _NARROW_INDEX else 32),
                "outliers": (rows * count, HALF), "exponent": (1, 8)}


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlierInputsFormat(SplitFormat):
    """Activations whose outlier columns stay in 16 bits, found anew at every call.

    Every sample, an index of the first dimension, has its own. A column is an outlier if any of its
    magnitudes reaches *threshold* times the root mean square of the sample; of more than *share* of
    the columns, those of the largest magnitudes are. The other columns are integers with one scale
    a token, its largest magnitude.

    The published threshold, 6, is a magnitude itself. Here it counts in root mean squares, so that
    numbers times a constant have the same outliers; at most one in 36 numbers can be above 6 of
    them. The published method takes every such column; the limit bounds what it may cost.

    Raises:
        BadInput: as for any split format, or a threshold that is not a number above 0.
    """

    OPERANDS: ClassVar[tuple[Operand, ...]] = ("input", "other")
    SUMMARY: ClassVar[str] = "integers rescaled for every token, with outlier columns in 16 bits"
    GRANULARITIES: ClassVar[tuple[str, ...]] = ("token",)
    ACTIVATION_GRANULARITIES: ClassVar[tuple[str, ...]] = ("token",)

    kind: Literal["outlier_inputs"] = "outlier_inputs"
    granularity: str = "token"
    threshold: float = 6.0

    def __post_init__(self) -> None:
        SplitFormat.__post_init__(self)
        self._settle(threshold=float(self.threshold))
        if not 0 < self.threshold < math.inf:
            raise BadInput(f"the threshold of outliers is a number above 0, not "
                           f"{self.threshold:g}")

    @property
    def rest(self) -> IntFormat:
        """The format of the columns that are no outliers."""
        return IntFormat(bits=self.bits, granularity=self.granularity, scale="absmax")
