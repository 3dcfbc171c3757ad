"""Formats of activations whose codes stand for levels that are not evenly spaced."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from mpsearch.core.formats.base import Format, Operand


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelFormat(Format):
    """A value is ``level[code] * scale + shift``, with one of several tables of levels.

    The table is chosen for a tensor as a whole and stored by its number, in 8 bits. Activations
    that go below 0 are shifted, so that their least value becomes 0.

    Where integers and shifts do the arithmetic (half powers of two with a second scale), a
    multiplication sees *bits*; where levels are any numbers, half precision.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSqrt2Format(LevelFormat):
    """Half powers of two below the scale, and 0: ``2**(-k / 2)``."""

    SUMMARY: ClassVar[str] = "half powers of two and 0, for values after a softmax"
    SOURCE: ClassVar[str] = "Li et al., RepQ-ViT, ICCV 2023"

    kind: Literal["log_sqrt2"] = "log_sqrt2"


@dataclass(frozen=True, slots=True, kw_only=True)
class SulqFormat(LevelFormat):
    """Powers of a base less a constant, ``2**y - eta`` for evenly spaced y; eta is searched."""

    SUMMARY: ClassVar[str] = "shifted powers, between uniform and log2, for values after a softmax"
    SOURCE: ClassVar[str] = "Zhong et al., I&S-ViT, arXiv:2311.10126"
    DECODED: ClassVar[bool] = True

    kind: Literal["sulq"] = "sulq"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaLogFormat(LevelFormat):
    """Powers of a searched base ``2**(q / 37)`` with short mantissas, and 0."""

    SUMMARY: ClassVar[str] = "powers of a searched base and 0, for values after a softmax or a GELU"
    SOURCE: ClassVar[str] = "Wu et al., AdaLog, ECCV 2024"

    kind: Literal["adalog"] = "adalog"

    @property
    def arithmetic_bits(self) -> float:
        """A mantissa has a bit more than a code; the rest is a shift."""
        return self.bits + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TanFormat(LevelFormat):
    """Levels on an arctangent, finest near the scale and, if that is better, near 0 as well."""

    SUMMARY: ClassVar[str] = "arctangent steps, finest near the largest values after a softmax"
    SOURCE: ClassVar[str] = "after Yang et al., DopQ-ViT, arXiv:2408.03291"
    DECODED: ClassVar[bool] = True

    kind: Literal["tan"] = "tan"


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoRegionFormat(LevelFormat):
    """Two runs of even steps, one step the other times a searched power of two.

    Either the numbers below 0 and above it have a step each (after a GELU), or the small and the
    large numbers (after a softmax).
    """

    SUMMARY: ClassVar[str] = "a fine and a coarse uniform region, after a GELU or a softmax"
    SOURCE: ClassVar[str] = "Yuan et al., PTQ4ViT, ECCV 2022; MPTQ-ViT, arXiv:2401.14895"
    SHIFTED: ClassVar[bool] = False

    kind: Literal["two_region"] = "two_region"
