"""Number formats: what the numbers of one tensor are, and what they weigh when stored."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from mpsearch.core.errors import BadInput

ScaleRule = Literal["absmax", "percentile", "least_squares"]

_GRANULARITY = re.compile(r"tensor|channel|token|group:[1-9][0-9]*")
_FEWEST_BITS, _MOST_BITS = 2, 16
_SCALE_BITS = 16
_EXPONENT_BITS = 8
_BYTE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class IntFormat:
    """Uniform integer: a value is ``(code - zero_point) * scale``.

    *granularity* says which elements share a scale: the whole ``tensor``; one output ``channel``
    of a weight; ``group:N``, runs of N elements inside a channel (the last run may be shorter);
    or one ``token``, computed anew for every vector at run time. *symmetric* fixes the zero point
    at 0. *scale* is the rule that finds the scale.

    Raises:
        BadInput: bits outside 2 to 16, or a granularity that is none of the above.
    """

    kind: Literal["int"] = "int"
    bits: int
    symmetric: bool = True
    granularity: str = "channel"
    scale: ScaleRule = "least_squares"

    def __post_init__(self) -> None:
        if not _FEWEST_BITS <= self.bits <= _MOST_BITS:
            raise BadInput(f"an integer format has 2 to 16 bits, not {self.bits}")
        if not _GRANULARITY.fullmatch(self.granularity):
            raise BadInput(
                f"unknown granularity '{self.granularity}': use tensor, channel, token or group:N"
            )

    @property
    def group_size(self) -> int | None:
        """Elements that share a scale inside a channel, or None where groups are not used."""
        head, _, size = self.granularity.partition(":")
        return int(size) if head == "group" else None

    @property
    def dynamic(self) -> bool:
        """Whether the scale is computed at run time instead of calibrated once."""
        return self.granularity == "token"

    @property
    def code_range(self) -> tuple[int, int]:
        """Smallest and largest code, both included."""
        if self.symmetric:
            return -(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1
        return 0, (1 << self.bits) - 1

    @property
    def zero_point_bits(self) -> int:
        """Stored bits of one zero point: none if symmetric, else whole bytes."""
        return 0 if self.symmetric else _round_up(self.bits, _BYTE)

    def slices(self, shape: tuple[int, ...]) -> int:
        """Number of scales of a weight of this *shape* (output channels first)."""
        rows, row_length = rows_of(shape)
        if self.group_size is not None:
            return rows * math.ceil(row_length / self.group_size)
        return 1 if self.granularity == "tensor" else rows

    def stored_bits(self, shape: tuple[int, ...]) -> int:
        """Bits a weight of this *shape* takes on disk: codes, scales, zero points and padding.

        Codes are dense within a row (one output channel) and a row ends on a byte. Scales are
        16 bits each under one shared 8-bit exponent.
        """
        rows, row_length = rows_of(shape)
        codes = rows * _round_up(row_length * self.bits, _BYTE)
        return codes + self.slices(shape) * (_SCALE_BITS + self.zero_point_bits) + _EXPONENT_BITS

    def __str__(self) -> str:
        letter = "s" if self.symmetric else "u"
        return f"{self.bits}{letter}/{self.granularity}"


Format = IntFormat
"""Every number format. A union grows here as formats are added."""


def rows_of(shape: tuple[int, ...]) -> tuple[int, int]:
    """Output channels of a weight, and elements in each."""
    return shape[0], math.prod(shape[1:])


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
