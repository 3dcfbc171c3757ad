"""The loop of `walk`, compiled by numba on first use and kept in its cache."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mpsearch.allocation.knapsack.compiled import extend
from mpsearch.allocation.knapsack.plain import Curve, Floats, Indices, Rest, States
from mpsearch.allocation.knapsack.walk import CURVES, FRESH, ROOM, Aim, Hulls, Moves
from mpsearch.core.loops import compiled

Trail = NDArray[np.int32]


@compiled
def walk(moves: Moves, rest: Floats, hulls: Hulls, aim: Aim,
         width: int) -> tuple[float, float, Indices]:
    """See `walk.walk`."""
    losses, highs, lows, sizes = moves
    over, over_low, unit, best, margin = aim
    states = (np.zeros(1), np.full(1, over), np.full(1, over_low))
    bound, at, found, left = np.inf, -1, 0, ROOM
    every = max(1, sizes.size // CURVES)
    pieces = curve(hulls, 1, margin)
    trail: Trail = np.empty((2, 1024), np.int32)
    starts, used = np.empty(sizes.size, np.int64), 0
    for index in range(sizes.size):
        if index < FRESH or index % every == 0:
            pieces = curve(hulls, index + 1, margin)
        after, size = (rest[index + 1], pieces, unit), sizes[index]
        grown = extend(states, (losses[index, :size], highs[index, :size], lows[index, :size]),
                       after, best * (1 - margin))
        if grown[0].size > min(width, left):
            grown, given_up = _narrowed(grown, after, min(width, left))
            bound = min(bound, given_up)
        states, count = (grown[0], grown[1], grown[2]), grown[0].size
        if not count:
            break
        if used + count > trail.shape[1]:
            trail = _longer(trail, used, used + count)
        trail[0, used:used + count], trail[1, used:used + count] = grown[3], grown[4]
        starts[index], used, left = used, used + count, left - count
        place = _last_within(grown[1], grown[2])
        if place >= 0 and grown[0][place] + rest[index + 1] < best:
            best, at, found = grown[0][place] + rest[index + 1], index, place
    return best, bound, _traced(trail, starts, at, found)


@compiled
def curve(hulls: Hulls, first: int, margin: float) -> Curve:
    """See `walk.curve`."""
    take, saved, from_, give, spent, to = hulls
    taken, given = (from_ >= first).sum(), (to >= first).sum()
    size = taken + given + 2
    ends, starts = np.zeros(size - 1), np.zeros(size)
    values, slopes = np.zeros(size), np.zeros(size)
    cost = loss = 0.0
    place = given
    for i in range(give.size):  # down from the reference to the least that can be saved
        if to[i] >= first:
            ends[place] = starts[place] = -cost
            values[place], slopes[place] = -loss, give[i]
            cost, loss = cost + spent[i], loss + spent[i] * give[i]
            place -= 1
    ends[0], values[0] = -cost, -loss
    cost, loss, place = 0.0, 0.0, given + 1
    for i in range(take.size):
        if from_[i] >= first:
            starts[place], values[place], slopes[place] = cost, loss, take[i]
            cost, loss = cost + saved[i], loss + saved[i] * take[i]
            ends[place] = cost
            place += 1
    ends[size - 2] *= 1 + margin
    values[size - 1] = np.inf
    return ends, starts, values, slopes


@compiled
def _narrowed(grown: States, after: Rest, room: int) -> tuple[States, float]:
    """As many states as there is *room* for, of the least bounds, and the next larger bound."""
    loss, high, low, parent, pick = grown
    kept, (ends, starts, values, slopes), unit = after
    below, piece = np.empty(loss.size), 0
    for i in range(loss.size):
        over = (high[i] + low[i] * 2.0**-48) * unit
        while piece < ends.size and over > ends[piece]:
            piece += 1
        below[i] = loss[i] + kept + (values[piece] + (over - starts[piece]) * slopes[piece])
    edge = np.partition(below, room)[room]
    ties, n = room - (below < edge).sum(), 0
    places = np.empty(room, np.int64)
    for i in range(loss.size):
        if below[i] < edge or (below[i] == edge and ties > 0):
            ties -= below[i] == edge
            places[n] = i
            n += 1
    return (loss[places], high[places], low[places], parent[places], pick[places]), edge


@compiled
def _longer(trail: Trail, used: int, size: int) -> Trail:
    """A trail with more room."""
    longer = np.empty((2, 2 * size), np.int32)
    longer[:, :used] = trail[:, :used]
    return longer


@compiled
def _last_within(high: Indices, low: Indices) -> int:
    """See `walk._last_within`."""
    below = int(np.searchsorted(high, 0))
    while below < high.size and high[below] == 0 and low[below] <= 0:
        below += 1
    return below - 1


@compiled
def _traced(trail: Trail, starts: Indices, index: int, place: int) -> Indices:
    """See `walk._traced`."""
    found = np.empty(index + 1, np.int64)
    for step in range(index, -1, -1):
        at = starts[step] + place
        found[step], place = trail[1, at], trail[0, at]
    return found
