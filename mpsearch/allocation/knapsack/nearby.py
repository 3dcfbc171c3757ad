"""Choices near the relaxation of several budgets, all of them, from two halves of what they change.

A choice loses the bound, plus what its schemes are worse by at the prices, plus what it leaves
under each limit at its price: all three are known, and the last two never negative. So a choice
within *reach* of the bound differs from the best one at these prices only in schemes that are no
worse than that, and its costs are in a small box under the limits. The combinations of such
deviations are listed for two halves of the groups (Horowitz and Sahni, "Computing partitions with
applications to the knapsack problem", Journal of the ACM 21, 1974), and a grid with cells as large
as the box tells which of them fit together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from mpsearch.allocation.knapsack.meeting import Cells, States
from mpsearch.allocation.knapsack.plain import Floats, Indices
from mpsearch.allocation.knapsack.prices import Priced

_MOST = 1_000  # deviations, roughly
_SCARCE, _FAR = 1 << 18, 4.0  # pairs that are all looked at while the best is further than reach
_CELLS = 1  # cells of the grid for each state
_FINEST = 2.0**-40  # width of a cell, as a share of what the costs differ by
_EPS = float(np.finfo(float).eps)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Met:
    """What a look at all choices within reach found: the best one (None if none is better).

    *complete* if no other choice within reach is better; *doubtful* is the loss from which on it
    may be not, infinite as a rule. *effort* counts combinations and pairs.
    """

    pick: Indices | None
    complete: bool
    doubtful: float
    effort: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Nearby:
    """Deviations from the best choice at the prices in *priced*, by rising *worse*.

    *groups* and *schemes* are those of the deviations, *changes* (1 + metrics, deviations) what
    each adds to the loss and the costs. All useful ones are there that are up to *reach* worse, and
    a bit more than that for rounding.
    """

    priced: Priced
    groups: Indices
    schemes: Indices
    worse: Floats
    changes: Floats
    reach: float

    @classmethod
    def of(cls, priced: Priced, worse: Floats, reach: float) -> Nearby:
        """Deviations up to *reach* or, of very many, the first, of what is *worse* by how much."""
        space, rows = priced.space, np.arange(len(priced.pick))
        most = reach + 2 * priced.allowance
        inside = worse[worse <= most]
        if inside.size > _MOST + rows.size:  # the best schemes themselves are there as well
            most = float(np.partition(inside, _MOST + rows.size)[_MOST + rows.size])
            reach = min(reach, most - 2 * priced.allowance)
        groups, schemes = np.nonzero((worse <= most) & np.isfinite(worse))
        here = priced.pick[groups]
        changes = np.concatenate((
            (space.losses[groups, schemes] - space.losses[groups, here])[None],
            space.costs[:, groups, schemes] - space.costs[:, groups, here]))
        useful = np.flatnonzero((changes < 0).any(axis=0) & (schemes != here))
        gaps = np.maximum(0.0, worse[groups, schemes][useful])
        order = np.argsort(gaps, kind="stable")
        useful = useful[order]
        return cls(priced=priced, groups=groups[useful], schemes=schemes[useful],
                   worse=gaps[order], changes=changes[:, useful], reach=reach)

    def level(self, count: int) -> float:
        """Within what reach there are at most so many deviations, as far as that is known."""
        return float(self.worse[count]) if count < self.worse.size else self.reach

    def met(self, reach: float, best: float, room: int, pairs: int, loops: ModuleType) -> Met:
        """The best of all choices within *reach* of the bound with a loss below *best*.

        At most *room* combinations a half and about so many *pairs* of them are looked at.
        """
        reach += 2 * self.priced.allowance
        halves = self._halves(reach, room, loops)
        effort = sum(half[0].size for half, _ in halves)
        if not all(half[0].size for half, _ in halves):
            return Met(pick=None, complete=False, doubtful=math.inf, effort=2 * room)
        widths = np.full(len(self.changes) - 1, np.inf)
        near = best - self.priced.low < _FAR * reach
        if near or math.prod(half[0].size for half, _ in halves) > _SCARCE:
            with np.errstate(divide="ignore", over="ignore"):
                widths = reach / self.priced.prices
        found, seen = self._paired(halves, widths, best, pairs, loops, margin=1)
        if seen > pairs or found is None:
            return Met(pick=None, complete=seen <= pairs, doubtful=math.inf, effort=effort + seen)
        if self.priced.space.meets(found):
            return Met(pick=found, complete=True, doubtful=math.inf, effort=effort + seen)
        doubtful = self.priced.space.excess(found)
        found, more = self._paired(halves, widths, best, pairs, loops, margin=-3)
        if found is not None and not self.priced.space.meets(found):
            found = None
        return Met(pick=found, complete=True, doubtful=doubtful, effort=effort + seen + more)

    def _halves(self, reach: float, room: int,
                loops: ModuleType) -> list[tuple[States, Indices]]:
        """The combinations of either half of the groups, and the deviations they are made of."""
        count = int(np.searchsorted(self.worse, reach, side="right"))
        groups = self.groups[:count]
        _, first, number = np.unique(groups, return_index=True, return_inverse=True)
        rank = np.argsort(np.argsort(first))[number]  # groups by their least deviation
        halves = []
        for side in (0, 1):
            mine = np.flatnonzero(rank % 2 == side)
            mine = mine[np.argsort(-rank[mine], kind="stable")]  # the widest gaps first
            starts = np.append(np.flatnonzero(np.diff(rank[mine], prepend=-1)), mine.size)
            halves.append((loops.listed(self.worse[mine], self.changes[:, mine],
                                        starts.astype(np.int64), reach, room), mine))
        return halves

    def _paired(self, halves: list[tuple[States, Indices]], widths: Floats, best: float,
                pairs: int, loops: ModuleType, *, margin: float) -> tuple[Indices | None, int]:
        """The best pair with costs that far below each limit or less, as a choice of all groups.

        The limits are exceeded by *margin* times what rounding may take. Also the pairs seen.
        """
        priced, (first, second) = self.priced, (half[0][1] for half in halves)
        size = np.abs(first[1:]).max(axis=1) + np.abs(second[1:]).max(axis=1) + (
            np.abs(priced.rest))
        error = (64 * size + 4 * priced.space.limits) * _EPS
        most = priced.rest + margin * error
        box = np.stack([priced.rest - widths - error, most, most + error])
        cells = _grid(second[1:3], (widths + 4 * error)[:2])
        _, a, b, seen = loops.meet(first, second, (box, cells), best - priced.value, pairs)
        if a < 0:
            return None, seen
        pick = priced.pick.copy()
        for (states, mine), place in zip(halves, (a, b), strict=True):
            _, _, parent, last = states
            at = place
            while last[at] >= 0:
                deviation = mine[last[at]]
                pick[self.groups[deviation]] = self.schemes[deviation]
                at = int(parent[at])
        return priced.space.full(pick), seen


def _grid(costs: Floats, widths: Floats) -> Cells:
    """Cells over two *costs* (2, states) that are no smaller than *widths*, and not too many."""
    low = costs.min(axis=1)
    size = costs.max(axis=1) - low
    widths = np.maximum(widths, _FINEST * size + np.finfo(float).tiny)
    room = _CELLS * costs.shape[1]
    count = np.minimum(size / widths, room)
    if (count[0] + 1) * (count[1] + 1) > room:
        fewer = np.sqrt(room / ((count[0] + 1) * (count[1] + 1)))
        count = np.maximum(count * fewer, np.minimum(count, 1.0))
        count = np.minimum(count, room / (count[::-1] + 1))
    widths = np.maximum(widths, size / np.maximum(1.0, np.floor(count)))
    return low, widths, np.floor(size / widths).astype(np.int64) + 1
