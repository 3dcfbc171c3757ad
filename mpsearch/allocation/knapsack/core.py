"""The core: the groups and schemes that the relaxation's bound leaves undecided."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import ModuleType

import numpy as np

from mpsearch.allocation.fixed import LOW, Mask
from mpsearch.allocation.knapsack.curve import Slopes
from mpsearch.allocation.knapsack.exact import Exact, exact
from mpsearch.allocation.knapsack.pareto import Items
from mpsearch.allocation.knapsack.plain import Floats, Indices
from mpsearch.allocation.knapsack.reference import Reference
from mpsearch.allocation.knapsack.table import Table


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Core:
    """Undecided *groups*.

    Tables (groups, schemes): *losses* above the group's least, *worse*, by how much a scheme is
    worse at *price* than the reference (infinite for schemes of no use), and *spent*, the cost
    above it; *exact* are the exact costs. *pick* is the reference and *above* its losses above the
    least, both of these groups; *total* is its loss in all groups.
    """

    groups: Indices
    losses: Floats
    worse: Floats
    spent: Floats
    exact: Exact
    pick: Indices
    above: Floats
    total: float
    price: float

    @classmethod
    def of(cls, table: Table, found: Reference, groups: Indices, total: float) -> Core:
        """The core of these *groups* around the reference *found*, whose loss is *total*."""
        losses, costs = table.scaled[0][groups], table.scaled[1][0, groups]
        rows, pick = np.arange(groups.size), found.pick[groups]
        here = losses[rows, pick][:, None]
        spent = costs - costs[rows, pick][:, None]
        worse = np.maximum(0.0, losses - here + found.price * spent)
        worse[(losses >= here) & (spent >= 0)] = np.inf
        worse[rows, pick] = 0.0
        chosen = table.costs[0][np.arange(len(found.pick)), found.pick]
        least = losses.min(axis=1, initial=np.inf)
        return cls(groups=groups, losses=losses - least[:, None], worse=worse, spent=spent,
                   exact=exact(chosen, table.costs[0, groups], chosen[groups], table.limits[0],
                               table.exponents[1]),
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
        unit = _divisor(self.exact, mask)
        if not unit:
            return self, 0.0
        high, low = self.exact.over
        over = -(-(high + (low > 0)) // unit) * unit
        lowered = ((over - high) - low * 2.0**-LOW) * self.exact.unit
        return replace(self, exact=replace(self.exact, over=(over, 0))), lowered

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
        return self.groups[order], Items(
            losses=self.losses[at], high=self.exact.high[at], low=self.exact.low[at],
            sizes=sizes[order], schemes=schemes, over=self.exact.over, rest=rest, slopes=slopes,
            unit=self.exact.unit)


def _divisor(exact: Exact, mask: Mask) -> int:
    """What all changes of cost are multiples of, in the first limb; 0 if they need the second."""
    at = np.nonzero(mask)
    return 0 if exact.low[at].any() else int(np.gcd.reduce(exact.high[at], initial=0))
