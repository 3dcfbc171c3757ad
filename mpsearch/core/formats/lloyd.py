"""Formats whose levels are the best there are for the numbers, wherever those lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from mpsearch.core.formats.base import HALF, Format, check_one_of

Source = Literal["tensor", "normal"]
"""What a codebook is made for: the tensor itself, or normal numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LloydFormat(Format):
    """A value is ``level[code] * scale``, with ``2**bits`` levels of least squared error.

    *source* ``tensor`` fits the levels to the tensor and stores them, one float16 table for all of
    it; ``normal`` takes those of a normal number, of which nothing is stored.
    """

    SUMMARY: ClassVar[str] = "the levels of least squared error, for the tensor or for a normal"
    SOURCE: ClassVar[str] = "Max, IRE Trans. Inf. Theory 1960; Lloyd, IEEE Trans. Inf. Theory 1982"
    ZERO: ClassVar[bool] = False
    WIDTHS: ClassVar[tuple[float, ...]] = tuple(range(2, 9))
    GRANULARITIES: ClassVar[tuple[str, ...]] = ("tensor", "channel", "group")
    DECODED: ClassVar[bool] = True
    ACTIVATION_GRANULARITIES: ClassVar[tuple[str, ...]] = ("tensor",)

    kind: Literal["lloyd"] = "lloyd"
    bits: int
    granularity: str = "channel"
    source: Source = "tensor"

    def __post_init__(self) -> None:
        Format.__post_init__(self)
        check_one_of(self.source, Source)

    def tables(self, shape: tuple[int, ...]) -> dict[str, tuple[int, int]]:
        """The levels, where they are the tensor's own."""
        del shape
        return {"codebook": (1 << self.bits, HALF)} if self.source == "tensor" else {}
