"""Small floating-point numbers: a sign, E bits of exponent and M of mantissa."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MiniFloat:
    """Numbers of *exponent* and *mantissa* bits, with the usual bias and subnormal numbers.

    All codes are numbers, except in two types that have codes for NaN and infinity (OCP 8-bit
    Floating Point Specification 1.0, 2023): the last code of each sign in E4M3, whose largest
    number is 448, and the last exponent in E5M2, whose largest number is 57344.
    """

    exponent: int
    mantissa: int

    @property
    def bits(self) -> int:
        """Bits of a code, its sign included."""
        return 1 + self.exponent + self.mantissa

    @property
    def lowest(self) -> int:
        """The exponent of the smallest normal number, and of all subnormal ones."""
        return 2 - (1 << (self.exponent - 1))

    @property
    def last_code(self) -> int:
        """The code of the largest number."""
        unused = {(4, 3): 1, (5, 2): 1 << self.mantissa}.get((self.exponent, self.mantissa), 0)
        return (1 << (self.bits - 1)) - 1 - unused

    @property
    def highest(self) -> int:
        """The exponent of the largest number."""
        return self.lowest + max(0, (self.last_code >> self.mantissa) - 1)

    @property
    def largest(self) -> float:
        """The largest number."""
        return self.magnitude(self.last_code)

    def magnitude(self, code: int) -> float:
        """The number with this *code* and no sign; exact."""
        field, rest = code >> self.mantissa, code & ((1 << self.mantissa) - 1)
        whole = rest + (1 << self.mantissa) * (field > 0)
        return float(whole) * 2.0 ** (self.lowest + max(0, field - 1) - self.mantissa)

    def __str__(self) -> str:
        return f"e{self.exponent}m{self.mantissa}"
