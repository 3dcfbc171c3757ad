"""The core: the groups and schemes that the relaxation's bound leaves undecided."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from types import ModuleType

import numpy as np

from mpsearch.allocation.fixed import LOW, Mask
from mpsearch.allocation.knapsack.curve import Slopes
from mpsearch.allocation.knapsack.exact import Ruler
from mpsearch.allocation.knapsack.pareto import Items
from mpsearch.allocation.knapsack.plain import Floats, Indices
from mpsearch.allocation.knapsack.reference import Reference
from mpsearch.allocation.knapsack.table import Table


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Core:
    """Undecided *groups*.

    Tables (groups, schemes): *losses* above the group's least, *worse*, by how much a scheme is
    worse at *price* than the reference (infinite for schemes of no use), and *spent*, the cost
    above it; *costs* are those that *ruler* counts and *over* the limbs of what the reference is
    above the limit, in *unit*s. *pick* is the reference and *above* its losses above the
    least, both of these groups; *total* is its loss in all groups.
    """

    groups: Indices
    losses: Floats
    worse: Floats
    spent: Floats
    costs: Floats
    ruler: Ruler
    over: tuple[int, int]
    unit: float
    pick: Indices
    above: Floats
    total: float
    price: float

    @classmethod
    def of(cls, table: Table, found: Reference, groups: Indices, ruler: Ruler,
           total: float) -> Core:
        """The core of these *groups* around the reference *found*, whose loss is *total*."""
        losses, costs = table.scaled[0][groups], table.scaled[1][0, groups]
        rows, pick = np.arange(groups.size), found.pick[groups]
        here = losses[rows, pick][:, None]
        spent = costs - costs[rows, pick][:, None]
        worse = np.maximum(0.0, losses - here + found.price * spent)
        worse[(losses >= here) & (spent >= 0)] = np.inf
        worse[rows, pick] = 0.0
        least = losses.min(axis=1, initial=np.inf)
        return cls(groups=groups, losses=losses - least[:, None], worse=worse, spent=spent,
                   costs=costs if not table.exponents[1] else table.costs[0, groups],
                   ruler=ruler, over=ruler.over,
                   unit=math.ldexp(1.0, table.exponents[1] - ruler.shift),
                   pick=pick, above=here[:, 0] - least, total=total, price=found.price)

    def kept(self, best: float, gap: float) -> Mask:
        """The schemes of no more loss than *best*, nor more than *gap* worse."""
        mask = (self.worse <= gap) & (self.losses <= best)
        mask[np.arange(len(mask)), self.pick] = True
        return mask

    def aligned(self, mask: Mask) -> tuple[Core, float]:
        """The core with its limit lowered to what schemes within *mask* can meet, and by how much.

        Where all costs are multiples of something, the limit is one as well.
        """
        at, (high, low) = np.nonzero(mask), self.over
        if 2 * at[0].size > mask.size:  # of most of them it is faster to count all
            highs, lows = (limbs[at] for limbs in self.ruler.changes(self.groups, self.costs))
        else:
            highs, lows = self.ruler.changes(self.groups[at[0]], self.costs[at][:, None])
        divisor = 0 if lows.any() else int(np.gcd.reduce(highs.ravel(), initial=0))
        if not divisor:
            return self, 0.0
        over = -(-(high + (low > 0)) // divisor) * divisor
        return replace(self, over=(over, 0)), ((over - high) - low * 2.0**-LOW) * self.unit

    def items(self, mask: Mask, kernels: ModuleType, *, by_slope: bool) -> tuple[Indices, Items]:
        """What to complete of the schemes in *mask*, and the groups in the order of that.

        Those with the largest changes of cost come first, or those with slopes near the price.
        """
        sizes = mask.sum(axis=1)
        spent = np.abs(self.spent)
        if by_slope:
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                slope = np.where(mask & (spent > 0), self.worse / spent, np.inf)
            order = np.argsort(slope.min(axis=1, initial=np.inf), kind="stable")
        else:
            order = np.argsort(-np.where(mask, spent, 0.0).max(axis=1, initial=0.0), kind="stable")
        order = order[sizes[order] > 1]
        losses = np.where(mask, self.losses, np.inf)[order]
        slopes = Slopes.of(losses, self.spent[order], self.pick[order], self.price, kernels)
        schemes = np.argsort(~mask[order], axis=1, kind="stable")[:, :sizes.max(initial=0)]
        at, above = (order[:, None], schemes), self.above[order]
        rest = np.append(np.cumsum(above[::-1])[::-1], 0.0)
        rest += max(0.0, self.total - float(above.sum()))
        high, low = self.ruler.changes(self.groups[order], self.costs[at])
        return self.groups[order], Items(
            losses=self.losses[at], high=high, low=low,
            sizes=sizes[order], schemes=schemes, over=self.over, rest=rest, slopes=slopes,
            unit=self.unit)
