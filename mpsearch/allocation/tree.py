"""A problem with sparse pairs as tables over a graph: bounds at prices, and what they rule out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mpsearch.allocation.bound import Floats
from mpsearch.allocation.core import Core
from mpsearch.allocation.elimination import (
    Elimination,
    Layout,
    Table,
    layout,
    least_regrets,
    placed,
)
from mpsearch.allocation.fixed import Ints, total, within
from mpsearch.allocation.lagrangian import Point
from mpsearch.allocation.shifted import shifted

_EPS = float(np.finfo(float).eps)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tree:
    """The candidates still in play, with losses as tables over the groups of a layout.

    *tables* has each group's losses and its pairs' with groups before it, axes its own, then those
    of its scope; each loss and each pair less its smallest, which add up to *base*. *costs*
    (candidates by metrics by limbs) are the *core*'s, *kept* the positions there.
    """

    core: Core
    layout: Layout
    kept: tuple[NDArray[np.intp], ...]
    tables: tuple[Table, ...]
    costs: tuple[Ints, ...]
    base: float

    @classmethod
    def of(cls, core: Core, largest: int) -> Tree | None:
        """The whole of *core*; None if its tables would have more than *largest* entries."""
        pairs, low = shifted(core)
        plan = layout(len(core.losses), pairs)
        sizes = [row.size for row in core.losses]
        if plan.entries(sizes) > largest:
            return None
        tables = [np.zeros([sizes[other] for other in (group, *scope)])
                  + _first(core.losses[group], len(scope))
                  for group, scope in enumerate(plan.scopes)]
        place = {group: index for index, group in enumerate(plan.order)}
        for pair in pairs:
            i, j, values = pair.first, pair.second, pair.values
            if place[i] < place[j]:
                i, j, values = j, i, values.T
            tables[i] += placed(values, (i, j), (i, *plan.scopes[i]))
        return cls(core=core, layout=plan, kept=tuple(np.arange(size) for size in sizes),
                   tables=tuple(tables), costs=core.costs, base=core.base + low)

    @property
    def entries(self) -> int:
        """Values in all tables."""
        return sum(table.size for table in self.tables)

    def eliminated(self, prices: Floats, weight: float) -> Elimination:
        """The tables at these *prices*, losses counted *weight* times (0 or 1)."""
        tables = self.tables if weight else [
            np.where(np.isinf(table), np.inf, 0.0) for table in self.tables]
        added = [costs[..., 0] @ prices for costs in self.costs]
        return Elimination.of(self.layout, tables, added)

    def ask(self, prices: Floats, weight: float) -> Point:
        """The best choice at these *prices*; see `prices.Ask`."""
        return self.point(self.eliminated(prices, weight), prices, weight)

    def point(self, found: Elimination, prices: Floats, weight: float) -> Point:
        """What an elimination at these *prices* says."""
        positions = found.choice()
        room = self.core.room[:, 0].astype(float)
        spent = self.spent(positions)
        over = (spent - self.core.room)[:, 0].astype(float)
        if not within(spent, self.core.room):
            over[int(np.argmax(over))] = max(over.max(), 0.5)
        value = found.total - float(prices @ room) - self.margin(prices, found.total)
        return Point(choice=self.choice(positions), prices=prices, loss=self.loss(positions),
                     over=over, value=value if weight else -math.inf)

    def margin(self, prices: Floats, total: float) -> float:
        """What rounding and the second limb of costs may change in a sum at these *prices*."""
        terms = len(self.tables) + len(self.core.problem.pairs) + 2
        widest = sum((np.abs(costs[..., 0]).max(axis=0) for costs in self.costs),
                     start=np.abs(self.core.room[:, 0])).astype(float)
        if not math.isfinite(total):
            return 0.0
        return terms * (4 * _EPS * (abs(total) + float(prices @ widest)) + (
            float(prices.sum()) if self.core.room.shape[1] > 1 else 0.0))

    def loss(self, positions: Sequence[int]) -> float:
        """Loss above *base* of the candidates at these *positions*."""
        return math.fsum(
            float(table[tuple(positions[g] for g in (group, *scope))])
            for group, (scope, table) in enumerate(
                zip(self.layout.scopes, self.tables, strict=True)))

    def spent(self, positions: Sequence[int]) -> Ints:
        """What the candidates at these *positions* cost (metrics by limbs)."""
        rows = zip(self.costs, positions, strict=True)
        return total(np.stack([row[k] for row, k in rows]))

    def choice(self, positions: Sequence[int]) -> tuple[int, ...]:
        """The problem's candidates that stand at these *positions*."""
        return self.core.choice([int(row[p]) for row, p in zip(self.kept, positions, strict=True)])

    def without(self, found: Elimination, most: float) -> Tree | None:
        """Drop the candidates whose every choice is more than *most* above the least total.

        None if that leaves a group without a candidate.
        """
        least = least_regrets(self.layout, found.regrets())
        masks = [row <= most for row in least]
        if all(mask.all() for mask in masks):
            return self
        if not all(mask.any() for mask in masks):
            return None
        keep = [np.flatnonzero(mask) for mask in masks]
        tables = tuple(table[np.ix_(*(keep[g] for g in (group, *scope)))]
                       for group, (scope, table) in enumerate(
                           zip(self.layout.scopes, self.tables, strict=True)))
        return replace(self, tables=tables,
                       kept=tuple(row[k] for row, k in zip(self.kept, keep, strict=True)),
                       costs=tuple(row[k] for row, k in zip(self.costs, keep, strict=True)))


def _first(row: Floats, others: int) -> Floats:
    """A *row* along the first axis, with so many axes after it."""
    return row.reshape(-1, *[1] * others)
