"""Levels that are not evenly spaced, for weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from mpsearch.core.formats.base import Operand
from mpsearch.core.formats.levels import LevelFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinLogFormat(LevelFormat):
    """Shifted powers on both sides of 0, ``2**(bits - 1) - 1`` a side, and 0."""

    OPERANDS: ClassVar[tuple[Operand, ...]] = ("weight",)
    GRANULARITIES: ClassVar[tuple[str, ...]] = ("channel", "group", "tensor")
    SUMMARY: ClassVar[str] = "shifted powers on both sides of 0, for long-tailed weights"
    SOURCE: ClassVar[str] = "LRQ-DiT, arXiv:2508.03485"
    SHIFTED: ClassVar[bool] = False
    DECODED: ClassVar[bool] = True

    kind: Literal["twin_log"] = "twin_log"
    granularity: str = "channel"
