"""The inner loops of `plain`, compiled by numba on first use and kept in its cache."""

from __future__ import annotations

import numpy as np

from mpsearch.allocation.knapsack.plain import (
    Between,
    Floats,
    Gaps,
    Indices,
    Rest,
    States,
    Steps,
)
from mpsearch.core.loops import compiled


@compiled
def _least(losses: Floats, costs: Floats, here: int, price: float, values: Floats) -> int:
    """The first scheme of least loss at a *price*, up to rounding; *values* are overwritten."""
    loss, cost, least = losses[here], costs[here], np.inf
    for k in range(losses.size):
        values[k] = (losses[k] - loss) + price * (costs[k] - cost)
    for k in range(losses.size):  # without a jump that depends on the values
        least = min(least, values[k])
    k = 0
    while values[k] != least:
        k += 1
    return k


@compiled
def _ends(losses: Floats, costs: Floats, low: float, high: float,
          values: Floats) -> tuple[int, int]:
    """See `plain.ends`; of one group."""
    a = 0
    while losses[a] == np.inf:
        a += 1
    a = _least(losses, costs, a, low, values)
    if _rivals(losses, costs, a, low):
        a = _better(losses, costs, a, low, 0)
    if high == np.inf or _rivals(losses, costs, a, high):
        return a, _better(losses, costs, a, high, 1)
    return a, a


@compiled
def _rivals(losses: Floats, costs: Floats, here: int, price: float) -> bool:
    """Whether another scheme is as good at a *price*, or better."""
    loss, cost, count = losses[here], costs[here], 0
    for k in range(losses.size):
        count += (loss - losses[k]) - price * (costs[k] - cost) >= 0
    return count > 1


@compiled
def _better(losses: Floats, costs: Floats, here: int, price: float, cheaper: int) -> int:
    """The best scheme at a *price* of all; ties to the *cheaper*, if not 0, or less loss."""
    loss, cost = losses[here], costs[here]
    for k in range(losses.size):
        less, more = loss - losses[k], costs[k] - cost
        gain = less - price * more
        if price == np.inf:
            gain = -more if losses[k] < np.inf else -np.inf
        first, then = (-more, less) if cheaper else (less, -more)
        if gain > 0 or (gain == 0 and (first > 0 or (first == 0 and then > 0))):
            here, loss, cost = k, losses[k], costs[k]
    return here


@compiled
def ends(losses: Floats, costs: Floats, low: float, high: float) -> tuple[Indices, Indices]:
    """See `plain.ends`."""
    found, values = np.empty((2, len(losses)), dtype=np.int64), np.empty(losses.shape[1])
    for g in range(len(losses)):
        found[0, g], found[1, g] = _ends(losses[g], costs[g], low, high, values)
    return found[0], found[1]


@compiled
def _next(losses: Floats, costs: Floats, here: int, end: float) -> tuple[float, int]:
    """The scheme of least slope from *here*, of equal ones the cheapest."""
    slope, pick = np.inf, -1
    for k in range(losses.size):
        saved = costs[here] - costs[k]
        if saved > 0 and costs[k] >= end and losses[k] < np.inf:
            each = (losses[k] - losses[here]) / saved
            if pick < 0 or each < slope or (each == slope and costs[k] < costs[pick]):
                slope, pick = each, k
    return slope, pick


@compiled
def _march(losses: Floats, costs: Floats, way: tuple[int, int, int, float], moved: Floats,
           at: Indices) -> int:
    """Steps of one group: slope and cost saved, and the scheme reached; returns their end."""
    here, cheap, n, top = way
    last = 0.0
    while costs[here] > costs[cheap]:
        slope, pick = _next(losses, costs, here, costs[cheap])
        last = min(max(slope, last), top)
        moved[0, n], moved[1, n], at[n] = last, costs[here] - costs[pick], pick
        n, here = n + 1, pick
    return n


@compiled
def march(losses: Floats, costs: Floats, dear: Indices, cheap: Indices, top: float) -> Steps:
    """See `plain.march`."""
    size, n = (dear != cheap).sum() * (losses.shape[1] - 1), 0
    moved, at = np.empty((2, size)), np.empty((2, size), dtype=np.int64)
    for g in range(len(dear)):
        if dear[g] != cheap[g]:
            first = n
            n = _march(losses[g], costs[g], (dear[g], cheap[g], n, top), moved, at[1])
            at[0, first:n] = g
    return moved[0, :n], moved[1, :n], at[0, :n], at[1, :n]


@compiled
def between(losses: Floats, costs: Floats, low: float, high: float, top: float) -> Between:
    """See `plain.between`; each group is read once."""
    groups, schemes = losses.shape
    found, spent = np.empty((2, groups), dtype=np.int64), np.empty((2, groups))
    size, n, values = groups // 4 + schemes, 0, np.empty(schemes)
    moved, at = np.empty((2, size)), np.empty((2, size), dtype=np.int64)
    for g in range(groups):
        a, b = _ends(losses[g], costs[g], low, high, values)
        found[0, g], found[1, g], spent[0, g], spent[1, g] = a, b, costs[g, a], costs[g, b]
        if a == b:
            continue
        if n + schemes > size:
            moved_, at_, size = moved, at, 2 * size
            moved, at = np.empty((2, size)), np.empty((2, size), dtype=np.int64)
            moved[:, :n], at[:, :n] = moved_[:, :n], at_[:, :n]
        first, n = n, _march(losses[g], costs[g], (a, b, n, top), moved, at[1])
        at[0, first:n] = g
    return found, spent, (moved[0, :n], moved[1, :n], at[0, :n], at[1, :n])


@compiled
def second(losses: Floats, costs: Floats, pick: Indices, price: float) -> Gaps:
    """See `plain.second`."""
    groups, schemes = losses.shape
    found = np.empty((4, groups))
    for g in range(groups):
        here, least, spent = pick[g], np.inf, 0.0
        loss, cost, lowest = losses[g, here], costs[g, here], losses[g, here]
        for k in range(schemes):
            if k != here:
                change = costs[g, k] - cost
                excess = losses[g, k] - loss + price * change
                if excess < least:
                    least, spent = excess, change
                lowest = min(lowest, losses[g, k])
        worse = max(0.0, least)
        found[0, g], found[2, g], found[3, g] = worse, max(0.0, -least), loss - lowest
        found[1, g] = np.inf
        if worse < np.inf:
            found[1, g] = worse / abs(spent) if spent else (np.inf if worse else np.nan)
    return found[0], found[1], found[2], found[3]


@compiled
def _sum(high: int, low: int, more: int, less: int) -> tuple[int, int]:
    """The sum of two costs of two limbs each."""
    total = low + less
    return high + more + (total >> 48), total & ((1 << 48) - 1)


@compiled
def _alive(states: tuple[Floats, Indices, Indices], scheme: tuple[float, int, int, int],
           rest: Rest, best: float, out: tuple[Floats, Indices]) -> int:
    """The states with one scheme more that can stay below *best*, to *out*, and how many."""
    loss, high, low = states
    losses, columns = out
    added, more, less, number = scheme
    kept, (ends_, starts, values, slopes), unit = rest
    size = piece = 0
    for i in range(loss.size):
        value, (h, w) = loss[i] + added, _sum(high[i], low[i], more, less)
        over = (h + w * 2.0**-48) * unit
        while piece < ends_.size and over > ends_[piece]:
            piece += 1
        alive = value + kept + (values[piece] + (over - starts[piece]) * slopes[piece]) < best
        losses[size] = value
        columns[size, 0], columns[size, 1], columns[size, 2], columns[size, 3] = h, w, i, number
        size += alive
    return size


@compiled
def _merged(one: tuple[Floats, Indices], n: int, two: tuple[Floats, Indices], m: int,
            out: tuple[Floats, Indices]) -> int:
    """*n* states and *m* others by rising cost to *out*, as far as their losses fall."""
    (loss, column), (loss_b, column_b), (found, columns) = one, two, out
    a = b = size = 0
    least = np.inf
    while a < n or b < m:
        other = a == n
        if a < n and b < m:
            more = column[a, 0] - column_b[b, 0]
            more = more or column[a, 1] - column_b[b, 1]
            other = more > 0 or (more == 0 and loss_b[b] < loss[a])
        value = loss_b[b] if other else loss[a]
        if value < least:
            found[size] = least = value
            for k in range(4):
                columns[size, k] = column_b[b, k] if other else column[a, k]
            size += 1
        a, b = a + (not other), b + other
    return size


@compiled
def extend(states: tuple[Floats, Indices, Indices], schemes: tuple[Floats, Indices, Indices],
           rest: Rest, best: float) -> States:
    """See `plain.extend`; the sorted states shifted by each scheme are merged."""
    n, m = states[0].size, schemes[0].size
    loss, columns = np.empty((3, n * m + 1)), np.empty((3, n * m + 1, 4), dtype=np.int64)
    size, here, fresh = 0, 0, (loss[2], columns[2])
    for k in range(m):
        scheme = schemes[0][k], schemes[1][k], schemes[2][k], k
        count = _alive(states, scheme, rest, best, fresh)
        size = _merged((loss[here], columns[here]), size, fresh, count,
                       (loss[1 - here], columns[1 - here]))
        here = 1 - here
    found = columns[here, :size].T.copy()
    return loss[here, :size].copy(), found[0], found[1], found[2], found[3]
