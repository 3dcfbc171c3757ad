"""Exact costs of a choice and its changes, in fixed point of two limbs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mpsearch.allocation.fixed import HIGH, LOW, most, split
from mpsearch.allocation.knapsack.plain import Floats, Indices


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Exact:
    """How far a choice is above a limit, and what changes of it add, both as two limbs.

    *over* are the limbs of the excess, *high* and *low* those of each change (groups, schemes).
    *unit* is the cost that 1 in the first limb stands for, times a power of two the caller chose.
    """

    over: tuple[int, int]
    high: Indices
    low: Indices
    unit: float


def exact(chosen: Floats, changed: Floats, start: Floats, limit: float, exponent: int) -> Exact:
    """Exact costs of a choice whose costs a group are *chosen*, within *limit*.

    *changed* are the costs of some groups' schemes and *start* their costs in that choice. Costs
    times 2 to the *exponent* is what the unit is given in.
    """
    largest = (float(np.abs(chosen).sum()) + abs(limit)
               + float(np.abs(changed).max(axis=1, initial=0.0).sum()))
    shift = HIGH - math.frexp(largest)[1]
    high, low = split(chosen, shift)
    halves = (int((low >> LOW // 2).sum()) << LOW // 2) + int((low & (1 << LOW // 2) - 1).sum())
    over = (int(high.sum()) << LOW) + halves - most(limit, shift + LOW)
    high, low = split(changed, shift)
    first_high, first_low = split(start, shift)
    high, low = high - first_high[:, None], low - first_low[:, None]
    carried = low >> LOW
    return Exact(over=divmod(over, 1 << LOW), high=high + carried, low=low - (carried << LOW),
                 unit=math.ldexp(1.0, exponent - shift))
