"""Which part of a residual branch a policy keeps: some of its units, or nothing of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from mpsearch.core.errors import BadInput

_DIGIT = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """The units of *branch* that stay: attention heads, or hidden units of an MLP.

    *units* is how many the network has. *mask* has a bit for each, the first unit's first, as
    hexadecimal digits filled up with zeros. Where none is kept the branch is skipped: it adds
    nothing to the residual stream.

    Raises:
        BadInput: a mask that is not one of so many units.
    """

    branch: str
    units: int
    mask: str

    def __post_init__(self) -> None:
        digits = -(-self.units // _DIGIT)
        fits = self.units > 0 and len(self.mask) == digits and set(self.mask) <= set(
            "0123456789abcdef")
        if not fits or int(self.mask, 16) % (1 << (digits * _DIGIT - self.units)):
            raise BadInput(f"'{self.mask}' is no mask of {self.units} units: it needs {digits} "
                           "hexadecimal digits, and zeros after the last unit")

    @classmethod
    def of(cls, branch: str, units: int, kept: Iterable[int]) -> Self:
        """The *kept* unit numbers out of so many *units* of *branch*."""
        digits = -(-units // _DIGIT)
        bits = sum(1 << (digits * _DIGIT - 1 - unit) for unit in set(kept))
        return cls(branch=branch, units=units, mask=f"{bits:0{digits}x}")

    @property
    def kept(self) -> tuple[int, ...]:
        """Numbers of the units that stay, ascending."""
        bits = f"{int(self.mask, 16):0{len(self.mask) * _DIGIT}b}"
        return tuple(unit for unit, bit in enumerate(bits) if bit == "1")

    @property
    def count(self) -> int:
        """How many units stay."""
        return int(self.mask, 16).bit_count()

    @property
    def skips(self) -> bool:
        """Whether nothing stays."""
        return self.count == 0

    def __str__(self) -> str:
        return "skip" if self.skips else f"keep {self.count}/{self.units}"
