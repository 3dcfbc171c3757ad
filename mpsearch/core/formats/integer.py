"""Uniform integers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from mpsearch.core.formats.base import Format, Operand, check_one_of, check_run_time, round_up

ScaleRule = Literal["absmax", "percentile", "least_squares"]
_BYTE = 8
_BY_GRANULARITY: Any = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntFormat(Format):
    """Uniform integer: a value is ``(code - zero_point) * scale``.

    *symmetric* fixes the zero point at 0. *scale* is the rule that finds the scale; where none is
    given, it is ``absmax`` for ``token`` and else ``least_squares``.

    Raises:
        BadInput: bits outside 2 to 16, an unknown granularity or rule, or a rule other than
            ``absmax`` for ``token``.
    """

    SUMMARY: ClassVar[str] = "uniform integers, symmetric or with a zero point"
    SOURCE: ClassVar[str] = "Jacob et al., CVPR 2018"
    WIDTHS: ClassVar[tuple[float, ...]] = tuple(range(2, 17))

    kind: Literal["int"] = "int"
    bits: int
    symmetric: bool = True
    granularity: str = "channel"
    scale: ScaleRule = _BY_GRANULARITY

    def __post_init__(self) -> None:
        # (zero arguments do not work here: a dataclass with slots is another class)
        Format.__post_init__(self)
        if self.scale == _BY_GRANULARITY:
            self._settle(scale="absmax" if self.dynamic else "least_squares")
        check_one_of(self.scale, ScaleRule)
        check_run_time(self, self.scale)

    @classmethod
    def usual(cls, operand: Operand, given: Mapping[str, Any]) -> dict[str, Any]:
        """Weights are symmetric, with a scale an output channel.

        Activations are asymmetric with one calibrated scale, or symmetric where every token gets
        its own scale at run time.
        """
        granularity = given.get("granularity") or ("channel" if operand == "weight" else "tensor")
        dynamic = granularity == "token"
        return {"granularity": granularity, "symmetric": operand == "weight" or dynamic}

    @property
    def code_range(self) -> tuple[int, int]:
        """Smallest and largest code, both included."""
        if self.symmetric:
            return -(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1
        return 0, (1 << self.bits) - 1

    @property
    def zero_point_bits(self) -> int:
        """Stored bits of one zero point: none if symmetric, else whole bytes."""
        return 0 if self.symmetric else round_up(self.bits, _BYTE)

    def __str__(self) -> str:
        letter = "s" if self.symmetric else "u"
        return f"{self.bits}{letter}/{self.granularity}"
