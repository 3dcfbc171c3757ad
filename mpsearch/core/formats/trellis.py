"""Trellis codes: numbers coded in pairs, each by a window of a stream of bits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from mpsearch.core.errors import BadInput
from mpsearch.core.formats.base import Format, Operand, round_up

PAIR = 2
"""Numbers that one step of a trellis codes."""
_SEQUENCE = 256  # numbers coded together: ends are tied up once in so many
_STATES = (8, 16)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrellisFormat(Format):
    """Numbers made normal by a random rotation, then coded in pairs by a bit-shift trellis.

    A pair is the codeword of its state, the last *states* bits of a stream to which every pair
    adds ``2 * bits``, or with quarter bits the whole numbers below and above that in turns (4 and 5
    at 2.25 bits). Streams are circular: a number takes *bits* and no more. *seed* draws the signs
    of the rotation and the codewords, of which nothing is stored.

    Raises:
        BadInput: fewer than 8 or more than 16 state bits, fewer than a pair adds, or a negative
            seed.
    """

    OPERANDS: ClassVar[tuple[Operand, ...]] = ("weight",)
    SUMMARY: ClassVar[str] = "a random rotation and a trellis code, for very few bits"
    SOURCE: ClassVar[str] = "Tseng et al., QTIP, NeurIPS 2024; Lee and Song, Q-Palette, 2025"
    ZERO: ClassVar[bool] = False
    WIDTHS: ClassVar[tuple[float, ...]] = tuple(quarter / 4 for quarter in range(6, 21))
    GRANULARITIES: ClassVar[tuple[str, ...]] = ("tensor", "channel")
    COLUMNWISE: ClassVar[bool] = False
    DECODED: ClassVar[bool] = True
    ACTIVATION_GRANULARITIES: ClassVar[tuple[str, ...]] = ()

    kind: Literal["trellis"] = "trellis"
    bits: float
    granularity: str = "tensor"
    states: int = 12
    seed: int = 0

    def __post_init__(self) -> None:
        Format.__post_init__(self)
        least, most = max(_STATES[0], *self.new_bits), _STATES[1]
        if not least <= self.states <= most:
            raise BadInput(f"a trellis of {self.bits:g} bits has {least} to {most} state bits, not "
                           f"{self.states}: set states")
        if self.seed < 0:
            raise BadInput(f"a seed is 0 or above, not {self.seed}")

    @classmethod
    def usual(cls, operand: Operand, given: Mapping[str, Any]) -> dict[str, Any]:
        """One scale for the tensor, the default: a rotation makes all channels alike."""
        del operand, given
        return {}

    @property
    def new_bits(self) -> tuple[int, ...]:
        """Bits that a step adds to the stream, for each of the steps that make one code."""
        low = math.floor(PAIR * self.bits)
        return (low,) if low == PAIR * self.bits else (low, low + 1)

    @property
    def code_bits(self) -> int:
        """Stored bits of one code: the bits of one step, or of two that differ."""
        return sum(self.new_bits)

    def sequences(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Sequences that a weight of this *shape* is cut into, and steps of each.

        They are of one length, near 256 numbers, and long enough to fill a state.
        """
        numbers, together = math.prod(shape), len(self.new_bits)
        count = max(1, math.ceil(numbers / _SEQUENCE))
        steps = max(round_up(math.ceil(math.ceil(numbers / count) / PAIR), together),
                    together * math.ceil(self.states / self.code_bits))
        return max(1, math.ceil(numbers / (PAIR * steps))), steps

    def codes(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Sequences, and codes in each."""
        count, steps = self.sequences(shape)
        return count, steps // len(self.new_bits)
