"""Exact allocation by dynamic programming over sums of costs, without bounds or heuristics.

Groups are added one by one to a list of partial choices, from which goes what exceeds a limit
and what another entry matches in loss and cost (Kellerer, Pferschy and Pisinger, "Knapsack
Problems", 2004, section 11.5; the lists are those of Nemhauser and Ullmann, 1969). Costs are the
integers of `fixed`, which are exact for fractional costs too. What it lacks in speed it has in
simplicity: it is there to check the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpsearch.allocation.bound import Floats
from mpsearch.allocation.core import Core
from mpsearch.allocation.fixed import Ints, carry, within
from mpsearch.allocation.limits import Conflict
from mpsearch.allocation.problem import Problem
from mpsearch.allocation.reduced import Reduced
from mpsearch.allocation.selection import Selection
from mpsearch.core.errors import Unsupported

Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dynamic:
    """Least total loss by Pareto lists over cost sums of up to *longest* entries.

    Exact for any number of budgets, but with several the lists hold every sum that can be made
    and grow fast. Memory is about 16 bytes an entry and group.
    """

    longest: int = 1_000_000

    def __call__(self, problem: Problem) -> Selection:
        """The best choice of *problem*; its bound is its own objective.

        Raises:
            Infeasible: no choice keeps to the limits; a `BelowFloor` where one limit is to blame.
            Unsupported: a list would have more than *longest* entries.
        """
        reduced = Reduced.of(problem, "dynamic")
        core = reduced.core
        loss, spent = np.zeros(1), np.zeros((1, *core.room.shape), dtype=np.int64)
        trail: list[tuple[Indices, Indices]] = []
        if not within(spent, core.room).all():
            raise Conflict(problem, proven=True)
        for group in core.open:
            entry, pick, loss, spent = self._extended(core, group, loss, spent)
            trail.append((entry, pick))
        if not loss.size:
            raise Conflict(problem, proven=True)
        leaf = int(loss.argmin())
        return reduced.selection(_trace(core, trail, leaf), float(loss[leaf]))

    def _extended(self, core: Core, group: int, loss: Floats, spent: Ints,
                  ) -> tuple[Indices, Indices, Floats, Ints]:
        """Every entry with every candidate of *group*: parent, candidate, loss and spending."""
        entry, pick, sums = self._fitting(core, group, spent)
        losses = loss[entry] + core.losses[group][pick]
        kept = undominated(losses, sums)
        if kept.size > self.longest:
            raise Unsupported(
                f"the dynamic program needs a list of {kept.size} sums of costs, which is more "
                f"than {self.longest}: raise 'longest', round the costs, or use 'ilp'")
        return entry[kept], pick[kept], losses[kept], sums[kept]

    def _fitting(self, core: Core, group: int, spent: Ints) -> tuple[Indices, Indices, Ints]:
        """The extensions within the limits; whatever follows costs nothing at the least."""
        parts = []
        for place, cost in enumerate(core.costs[group]):
            sums = carry(spent + cost)
            fits = np.flatnonzero(within(sums, core.room))
            parts.append((fits, np.full(fits.size, place), sums[fits]))
        entry, pick, sums = (np.concatenate(column) for column in zip(*parts, strict=True))
        return entry, pick, sums


def undominated(loss: Floats, spent: Ints) -> Indices:
    """Entries by rising cost, without those that another one matches in loss and every cost.

    With several budgets only entries that spend the same are compared.
    """
    limbs = spent.reshape(loss.size, math.prod(spent.shape[1:]))
    order = np.lexsort((loss, *limbs.T[::-1]))
    if spent.shape[1] == 1:
        least = np.minimum.accumulate(np.append(np.inf, loss[order]))
        return np.asarray(order[loss[order] < least[:-1]])
    new = np.append(True, (np.diff(limbs[order], axis=0) != 0).any(axis=1))
    return np.asarray(order[new[:order.size]])


def _trace(core: Core, trail: Sequence[tuple[Indices, Indices]], leaf: int) -> tuple[int, ...]:
    positions = [0] * len(core.losses)
    for group, (entry, pick) in zip(reversed(core.open), reversed(trail), strict=True):
        positions[group] = int(pick[leaf])
        leaf = int(entry[leaf])
    return core.choice(positions)
