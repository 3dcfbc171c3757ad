"""Levels that a normal number reaches equally often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from mpsearch.core.formats.base import Format, Operand, check_one_of

NormalScale = Literal["absmax", "least_squares"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NormalFloatFormat(Format):
    """A value is ``level[code] * scale``, with levels from -1 to 1 at quantiles of the normal.

    *scale* is the rule that finds scales: the largest magnitude as published, or a search.

    Raises:
        BadInput: an unknown width, granularity or rule.
    """

    OPERANDS: ClassVar[tuple[Operand, ...]] = ("weight",)
    SUMMARY: ClassVar[str] = "NormalFloat: levels at quantiles of the normal distribution, and 0"
    SOURCE: ClassVar[str] = "Dettmers et al., QLoRA, NeurIPS 2023"
    WIDTHS: ClassVar[tuple[float, ...]] = tuple(range(2, 9))
    GRANULARITIES: ClassVar[tuple[str, ...]] = ("group", "channel", "tensor")
    DECODED: ClassVar[bool] = True

    kind: Literal["normal_float"] = "normal_float"
    bits: int
    granularity: str = "group:64"
    scale: NormalScale = "least_squares"

    def __post_init__(self) -> None:
        Format.__post_init__(self)
        check_one_of(self.scale, NormalScale)

    @classmethod
    def usual(cls, operand: Operand, given: Mapping[str, Any]) -> dict[str, Any]:
        """Groups of 64, the default."""
        del operand, given
        return {}

    def __str__(self) -> str:
        return f"nf{self.bits}/{self.granularity}"
