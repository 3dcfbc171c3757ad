"""Levels as whole numbers: what integer arithmetic multiplies instead of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple, Protocol, Self, TypeVar, runtime_checkable

import torch
from torch import Tensor

from mpsearch.core.formats import Format
from mpsearch.quantizers.base import Params


class Strand(NamedTuple):
    """Whole numbers, one for each level, and the *unit* that they count."""

    unit: float
    whole: tuple[int, ...]

    @classmethod
    def of(cls, levels: Sequence[float]) -> Self:
        """*levels* exactly: every float is a whole number of some power of two."""
        exact = [Fraction(each) for each in levels]
        fine = max(each.denominator for each in exact)
        whole = [int(each * fine) for each in exact]
        shared = min((each & -each for each in whole if each), default=1)
        return cls(unit=shared / fine, whole=tuple(each // shared for each in whole))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stairs:
    """The rising levels of a tensor's format.

    A level is the sum of ``unit * whole`` over *strands*. A number over the scale, and less the
    shift before, has the level as many places up as there are *bounds* (float32, one less than
    levels) below it. *codes* are those of the levels, int64.
    """

    bounds: Tensor
    strands: tuple[Strand, ...]
    codes: Tensor

    @classmethod
    def by_rank(cls, bounds: Tensor, strands: tuple[Strand, ...]) -> Self:
        """Those of a format whose codes count levels from the lowest."""
        return cls(bounds=bounds, strands=strands, codes=torch.arange(len(strands[0].whole)))


F_contra = TypeVar("F_contra", bound=Format, contravariant=True)


@runtime_checkable
class Stepped(Protocol[F_contra]):
    """What a quantizer may offer beside: its levels, so that integer backends run its codes."""

    def stairs(self, params: Params, fmt: F_contra) -> Stairs:
        """The levels that *params* stand for, to be multiplied by the scale."""
        ...
