"""The inner loops of `meeting`, compiled by numba on first use and kept in its cache."""

from __future__ import annotations

import numpy as np

from mpsearch.allocation.knapsack.meeting import Cells, Places, States
from mpsearch.allocation.knapsack.plain import Floats, Indices
from mpsearch.core.loops import compiled


@compiled
def listed(worse: Floats, changes: Floats, starts: Indices, reach: float, room: int) -> States:
    """See `meeting.listed`; what is not written to takes no memory."""
    rows, total = changes.shape[0], np.empty(room)
    parent, last = np.empty(room, dtype=np.int32), np.empty(room, dtype=np.int32)
    total[0], parent[0], last[0], size = 0.0, -1, -1, 1
    for g in range(starts.size - 1):
        before = size
        for d in range(starts[g], starts[g + 1]):
            for i in range(before):
                more = total[i] + worse[d]
                if more <= reach:
                    if size == room:
                        return total[:0], np.empty((rows, 0)), parent[:0], last[:0]
                    total[size], parent[size], last[size] = more, i, d
                    size += 1
    sums = np.empty((rows, size))
    for r in range(rows):
        sums[r, 0] = 0.0
        for i in range(1, size):
            sums[r, i] = sums[r, parent[i]] + changes[r, last[i]]
    return total[:size], sums, parent[:size], last[:size]


@compiled
def _place(value: float, low: float, width: float, count: int) -> int:
    """The row or column of the grid that *value* is in, or one outside of it."""
    return int(min(max(np.floor((value - low) / width), -2.0), count + 1.0))


@compiled
def _sorted(second: Floats, cells: Cells) -> tuple[Indices, Places, Floats]:
    """Where each cell's states begin, the states cell by cell, and their changes as rows."""
    low, width, count = cells
    rows, states = second.shape
    starts = np.zeros(count[0] * count[1] + 1, dtype=np.int64)
    cell = np.empty(states, dtype=np.int32)
    for b in range(states):
        row = _place(second[1, b], low[0], width[0], count[0])
        cell[b] = row * count[1] + _place(second[2, b], low[1], width[1], count[1])
        starts[cell[b] + 1] += 1
    for c in range(starts.size - 1):
        starts[c + 1] += starts[c]
    at, order = starts[:-1].copy(), np.empty(states, dtype=np.int32)
    near = np.empty((states, rows))
    for b in range(states):
        i = at[cell[b]]
        at[cell[b]] += 1
        order[i] = b
        for r in range(rows):
            near[i, r] = second[r, b]
    return starts, order, near


@compiled
def _fits(first: Floats, other: Floats, box: Floats, a: int) -> bool:
    """Whether the costs of a pair add up to something in the box."""
    for m in range(box.shape[1]):
        cost = first[1 + m, a] + other[1 + m]
        if cost < box[0, m] or cost > box[1, m]:
            return False
    return True


@compiled
def _block(first: Floats, a: int, box: Floats, cells: Cells) -> tuple[int, int, int, int]:
    """The first and last row and column of the cells in which a state's partners are."""
    low, width, count = cells
    row = _place(box[2, 0] - first[1, a], low[0], width[0], count[0])
    column = _place(box[2, 1] - first[2, a], low[1], width[1], count[1])
    return (max(row - 1, 0), min(row, count[0] - 1), max(column - 1, 0), min(column, count[1] - 1))


@compiled
def meet(first: Floats, second: Floats, inside: tuple[Floats, Cells], best: float,
         pairs: int) -> tuple[float, int, int, int]:
    """See `meeting.meet`."""
    box, cells = inside
    starts, order, near = _sorted(second, cells)
    wide, least, at_a, at_b, seen = cells[2][1], best, -1, -1, 0
    for a in range(first.shape[1]):
        top, bottom, left, right = _block(first, a, box, cells)
        for row in range(top, bottom + 1):
            if left > right:
                break
            begin, end = starts[row * wide + left], starts[row * wide + right + 1]
            seen += end - begin
            if seen > pairs:
                return best, -1, -1, pairs + 1
            for i in range(begin, end):
                loss = first[0, a] + near[i, 0]
                nearer = loss < least or (loss == least and a == at_a and order[i] < at_b)
                if nearer and _fits(first, near[i], box, a):
                    least, at_a, at_b = loss, a, int(order[i])
    return least, at_a, at_b, seen
