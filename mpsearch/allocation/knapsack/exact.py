"""Exact costs of a choice and its changes, in fixed point of two limbs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mpsearch.allocation.fixed import HIGH, LOW, most, split
from mpsearch.allocation.knapsack.plain import Floats, Indices


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ruler:
    """The fixed point in which a problem's costs are counted, and a choice that they start from.

    *chosen* are the choice's costs a group and *over* the limbs of what is above the limit in
    sum. Costs are counted in units of 2 to the minus *shift*.
    """

    chosen: Floats
    over: tuple[int, int]
    shift: int

    @classmethod
    def of(cls, chosen: Floats, largest: float, limit: float) -> Ruler:
        """The ruler for costs of up to *largest* a group, within *limit*."""
        shift = HIGH - math.frexp(len(chosen) * 2.0 * largest + abs(limit))[1]
        high, low = split(chosen, shift)
        half = LOW // 2
        small = (int((low >> half).sum()) << half) + int((low & (1 << half) - 1).sum())
        over = (int(high.sum()) << LOW) + small - most(limit, shift + LOW)
        return cls(chosen=chosen, over=divmod(over, 1 << LOW), shift=shift)

    def above(self, exponent: int) -> float:
        """How far the choice is above the limit, in units of 2 to the minus *exponent*."""
        high, low = self.over
        return math.ldexp(float((high << LOW) + low), exponent - self.shift - LOW)

    def changes(self, groups: Indices, costs: Floats) -> tuple[Indices, Indices]:
        """What the *costs* (groups, schemes) of these *groups* add to the choice's, as limbs."""
        high, low = split(costs, self.shift)
        first_high, first_low = split(self.chosen[groups], self.shift)
        high, low = high - first_high[:, None], low - first_low[:, None]
        carried = low >> LOW
        return high + carried, low - (carried << LOW)
