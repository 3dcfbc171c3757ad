"""Formats whose codes stand for levels that are not evenly spaced."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from mpsearch.core.formats.base import Format, Operand


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelFormat(Format):
    """A value is ``level[code] * scale + shift``, with one of several tables of levels.

    The table is chosen for a tensor as a whole and stored by its number, in 8 bits. Activations
    that go below 0 are shifted, so that their least value becomes 0.
    """

    OPERANDS: ClassVar[tuple[Operand, ...]] = ("input", "other")
    WIDTHS: ClassVar[tuple[float, ...]] = tuple(range(2, 9))
    GRANULARITIES: ClassVar[tuple[str, ...]] = ("tensor",)
    ACTIVATION_GRANULARITIES: ClassVar[tuple[str, ...]] = ("tensor",)
    SHIFTED: ClassVar[bool] = True
    """Whether levels start at 0, so that what goes below must be shifted."""

    bits: int
    granularity: str = "tensor"

    def tables(self, shape: tuple[int, ...]) -> dict[str, tuple[int, int]]:
        """The number of the table, and the shift."""
        del shape
        return {"table": (1, 8), **({"shift": (1, 32)} if self.SHIFTED else {})}


@dataclass(frozen=True, slots=True, kw_only=True)
class Log2Format(LevelFormat):
    """Powers of two below the scale, and 0: ``2**-k``. One code is kept for 0."""

    SUMMARY: ClassVar[str] = "powers of two and 0, for values after a softmax"
    SOURCE: ClassVar[str] = "Lin et al., FQ-ViT, IJCAI 2022"

    kind: Literal["log2"] = "log2"
