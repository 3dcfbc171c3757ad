"""The loop of the exact completion in plain numpy; `walk_compiled` has the same one compiled."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mpsearch.allocation.knapsack import plain
from mpsearch.allocation.knapsack.plain import Curve, Floats, Indices

Moves = tuple[Floats, Indices, Indices, Indices]
"""Losses and limbs of costs (groups, schemes), and how many schemes of each group count."""
Hulls = tuple[Floats, Floats, Indices, Floats, Floats, Indices]
"""Slope, cost and place of the steps that save cost, then of those that spend it."""
Aim = tuple[int, int, float, float, float]
"""The limbs above the limit, the unit of the first, the loss to stay below and its margin."""
Trail = list[tuple[NDArray[np.int32], NDArray[np.int16]]]

ROOM = 4_000_000  # states in all that are kept to trace the best choice back
FRESH, CURVES = 6, 24  # groups after each of which the bound is made anew, and times after that
_NOTHING, _NEVER = np.zeros(1), np.full(1, np.inf)


def walk(moves: Moves, rest: Floats, hulls: Hulls, aim: Aim,
         width: int) -> tuple[float, float, Indices]:
    """The least loss of all choices within the limit, and the schemes that give it.

    The second number bounds the losses of the choices that were given up for *width*. The schemes
    are places in the tables, group by group up to where the best choice was found; none if that
    was not below the loss in *aim*. *rest* (groups + 1) are the losses of the groups from each on.
    """
    losses, highs, lows, sizes = moves
    over, over_low, unit, best, margin = aim
    loss, high, low = np.zeros(1), np.array([over]), np.array([over_low])
    bound, at, left, trail = math.inf, (-1, 0), ROOM, Trail()
    every = max(1, sizes.size // CURVES)
    for index, size in enumerate(sizes.tolist()):
        if index < FRESH or index % every == 0:
            pieces = curve(hulls, index + 1, margin)
        after = float(rest[index + 1]), pieces, unit
        schemes = losses[index, :size], highs[index, :size], lows[index, :size]
        loss, high, low, parent, pick = plain.extend((loss, high, low), schemes, after,
                                                     best * (1 - margin))
        if loss.size > min(width, left):
            below = plain.bounds(loss, high, low, after)
            ranked = np.argsort(below, kind="stable")
            kept = np.sort(ranked[:min(width, left)])
            bound = min(bound, float(below[ranked[kept.size]]))
            loss, high, low = loss[kept], high[kept], low[kept]
            parent, pick = parent[kept], pick[kept]
        if not loss.size:
            break
        left -= loss.size
        trail.append((parent.astype(np.int32), pick.astype(np.int16)))
        place = _last_within(high, low)
        if place >= 0 and loss[place] + after[0] < best:
            best, at = float(loss[place] + after[0]), (index, place)
    return best, bound, _traced(trail, *at)


def curve(hulls: Hulls, first: int, margin: float) -> Curve:
    """Least loss that groups from place *first* on add for each cost they are to save.

    Beyond all that they can save it is infinite; sums of that may be short by *margin*.
    """
    saved, lost, take = _sums(*hulls[:3], first)
    spent, gained, give = _sums(*hulls[3:], first)
    saved[-1] *= 1 + margin
    ends = np.concatenate((-spent[::-1], saved[1:]))
    starts = np.concatenate((_NOTHING, -spent[-2::-1], saved[:-1], _NOTHING))
    values = np.concatenate((-gained[::-1][:1], -gained[-2::-1], lost[:-1], _NEVER))
    return ends, starts, values, np.concatenate((_NOTHING, give[::-1], take, _NOTHING))


def _sums(slopes: Floats, costs: Floats, places: Indices,
          first: int) -> tuple[Floats, Floats, Floats]:
    """Sums of the costs, and of the losses, of all steps so far, and the slopes of the steps.

    Only steps of groups from place *first* on are taken.
    """
    still = places >= first
    slopes, costs = slopes[still], costs[still]
    cost, loss = np.zeros(slopes.size + 1), np.zeros(slopes.size + 1)
    np.cumsum(costs, out=cost[1:])
    np.cumsum(costs * slopes, out=loss[1:])
    return cost, loss, slopes


def _last_within(high: Indices, low: Indices) -> int:
    """The last state within the limit, which has the least loss of those; -1 if there is none."""
    below = int(high.searchsorted(0))
    while below < high.size and high[below] == 0 and low[below] <= 0:
        below += 1
    return below - 1


def _traced(trail: Trail, index: int, place: int) -> Indices:
    """The schemes that led to a state, first to last."""
    found = np.empty(index + 1, dtype=np.int64)
    for step in range(index, -1, -1):
        parent, pick = trail[step]
        found[step], place = pick[place], int(parent[place])
    return found
