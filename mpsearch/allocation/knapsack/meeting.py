"""The inner loops for several budgets in plain numpy; `meeting_compiled` gives the same results.

Tables have the axes (groups, schemes) or (metrics, groups, schemes). A scheme that is out of play
has an infinite loss. States are combinations of deviations from a reference choice.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mpsearch.allocation.knapsack.plain import Floats, Indices

Places = NDArray[np.int32]
States = tuple[Floats, Floats, Places, Places]
"""How much worse a state is, its changes of loss and of costs, its parent and last deviation."""
Cells = tuple[Floats, Floats, Indices]
"""Where the cells of a grid over two costs start, how wide they are, how many there are."""
_BLOCK = 1 << 20  # pairs looked at in one go


def listed(worse: Floats, changes: Floats, starts: Indices, reach: float, room: int) -> States:
    """All combinations of at most one deviation a group that are at most *reach* worse in sum.

    *worse* (deviations) and *changes* (rows, deviations) of group g are those from ``starts[g]``.
    A parent comes before its child; more than *room* combinations are none at all.
    """
    total, sums = np.zeros(1), np.zeros((len(changes), 1))
    parent, last = np.full((2, 1), -1, dtype=np.int32)
    for first, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        kept = [np.flatnonzero(total + worse[d] <= reach) for d in range(first, end)]
        at = np.concatenate([np.arange(0), *kept])
        if total.size + at.size > room:
            return np.zeros(0), sums[:, :0], parent[:0], last[:0]
        d = np.repeat(np.arange(first, end), [each.size for each in kept])
        total = np.append(total, total[at] + worse[d])
        sums = np.concatenate((sums, sums[:, at] + changes[:, d]), axis=1)
        parent = np.append(parent, at.astype(np.int32))
        last = np.append(last, d.astype(np.int32))
    return total, sums, parent, last


def places(values: Floats, cells: Cells) -> tuple[Indices, Indices]:
    """The row and the column of the grid that each pair of *values* (2, states) is in."""
    low, width, count = cells
    at = np.floor((values - low[:, None]) / width[:, None])
    row, column = np.clip(at, -2, count[:, None] + 1).astype(np.int64)
    return row, column


def meet(first: Floats, second: Floats, inside: tuple[Floats, Cells], best: float,
         pairs: int) -> tuple[float, int, int, int]:
    """The pair of states of least loss below *best* whose costs add up to something *inside*.

    *first* and *second* are changes of loss and of costs (rows, states). Inside is a box (3,
    metrics): the least and the most that costs may be, and a bit more than that, where they are
    looked up in the cells, which are wider than the box by as much at either end. Found are the
    loss, a state of either side (-1 if there is none) and how many pairs of the same or
    neighbouring cells there are; with more than *pairs* of them, all of it is given up.
    """
    (box, cells), count = inside, inside[1][2]
    row, column = places(second[1:3], cells)
    order = np.argsort(row * count[1] + column, kind="stable")
    sorted_ = (row * count[1] + column)[order]
    row, column = places(box[2, :2, None] - first[1:3], cells)
    left, right = np.maximum(column - 1, 0), np.minimum(column, count[1] - 1)
    ranges, seen = [], 0
    for above in (0, 1):
        line = row - above
        fine = (line >= 0) & (line < count[0]) & (left <= right)
        begin = np.searchsorted(sorted_, np.where(fine, line * count[1] + left, 0))
        end = np.searchsorted(sorted_, np.where(fine, line * count[1] + right, -1), side="right")
        number = np.maximum(end - begin, 0)
        seen += int(number.sum())
        ranges.append((order, begin, number))
    found = best, -1, -1
    for each in ranges if seen <= pairs else []:
        found = _least(first, second, box, each, found)
    return *found, min(seen, pairs + 1)


def _least(first: Floats, second: Floats, box: Floats, ranges: tuple[Indices, Indices, Indices],
           found: tuple[float, int, int]) -> tuple[float, int, int]:
    order, begin, number = ranges
    ends = np.cumsum(number)
    start = 0
    while start < number.size:
        done = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + _BLOCK, side="right")))
        share = number[start:stop]
        a = np.repeat(np.arange(start, stop), share)
        offset = np.arange(a.size) - np.repeat(np.cumsum(share) - share, share)
        b = order[begin[a] + offset]
        loss = first[0, a] + second[0, b]
        fits = loss <= found[0]
        for m in range(box.shape[1]):
            cost = first[1 + m, a] + second[1 + m, b]
            fits &= (cost >= box[0, m]) & (cost <= box[1, m])
        a, b, loss = a[fits], b[fits], loss[fits]
        if a.size:
            least = np.lexsort((b, a, loss))[0]
            here = float(loss[least]), int(a[least]), int(b[least])
            if here[0] < found[0] or (found[1] >= 0 and here < found):
                found = here
        start = stop
    return found
